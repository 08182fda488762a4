// Numbers as people read them, as `words.py` says them: three figures at most, and always a unit.

function short(value) {
  if (value >= 999950) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 9999.5) return `${(value / 1e3).toFixed(1)}k`;
  if (value >= 999.5) return Math.round(value).toLocaleString('en-US');
  return value >= 9.95 || value === 0 ? value.toFixed(0) : value.toFixed(1);
}

const NOW = {
  second: (value) => `${short(value)} /s`,
  minute: (value) => `${short(value)} /min`,
  ms: (value) => (value >= 9999.5 ? `${(value / 1e3).toFixed(1)} s` : `${short(value)} ms`),
  percent: (value) => `${short(value)} %`,
};

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds) % 60).padStart(2, '0')}`;
}
