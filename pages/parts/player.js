// The player: key numbers, the moment of the run, and one cursor over the map and all charts.

const FRAME = 33; // milliseconds
const LONGEST_FRAME = 0.1; // seconds; after a pause of the tab, nothing leaps
const views = new WeakMap();
// Where the last run was stopped.  It outlives a re-mount, and a new run goes on from there.
const remembered = { seconds: null, playing: null, speed: 1 };

function nowText(kind, value) {
  return value === null ? '–' : NOW[kind](value); // nobody was answered in this frame
}

// ---------------------------------------------------------------- the strip

function buildKpis(view) {
  view.kpis.replaceChildren();
  view.now = view.data.kpis.map((kpi) => {
    const card = document.createElement('div');
    card.className = `kpi ${kpi.state}`;
    card.title = kpi.help;
    const glyph = kpi.state === 'o' ? '' : STATES[kpi.state].glyph;
    const parts = ['label', 'glyph', 'value', 'now'].map((name) => {
      const element = document.createElement('span');
      element.className = name;
      card.append(element);
      return element;
    });
    [kpi.label, glyph, kpi.value].forEach((text, index) => (parts[index].textContent = text));
    parts[1].setAttribute('aria-label', { o: '', w: 'warning', b: 'bad' }[kpi.state]);
    view.kpis.append(card);
    return parts[3];
  });
}

function showKpis(view, frame) {
  view.data.kpis.forEach((kpi, index) => {
    const text = kpi.kind === 'fixed' ? kpi.now : `now ${nowText(kpi.kind, kpi.now[frame])}`;
    if (view.now[index].textContent !== text) view.now[index].textContent = text;
  });
}

// ---------------------------------------------------------------- the moment

function frameAt(view, seconds) {
  const { frames, duration } = view.data;
  return Math.max(0, Math.min(frames - 1, Math.floor((seconds / duration) * frames)));
}

// Go to a moment: map, numbers, clock, the last thing that happened, and the charts' cursor.
function seek(view, seconds) {
  const { data, player } = view;
  view.seconds = Math.max(0, Math.min(data.duration, seconds));
  remembered.seconds = view.seconds;
  const frame = frameAt(view, view.seconds);
  if (frame !== view.frame) showKpis(view, frame);
  showFrame(view, frame);
  player.scrubber.value = view.seconds;
  timechart.point(view.seconds);
  const clock = `${minutes(view.seconds)} / ${minutes(data.duration)}`;
  if (player.clock.textContent === clock) return;
  player.clock.textContent = clock;
  player.scrubber.setAttribute('aria-valuetext', `${Math.round(view.seconds)} seconds`);
  const last = data.events.findLast(([at]) => at <= view.seconds);
  player.event.textContent = last ? `${minutes(last[0])} ${last[2]}` : '';
  player.event.title = player.event.textContent;
}

// ---------------------------------------------------------------- playing

function play(view, playing) {
  view.playing = remembered.playing = playing;
  view.player.play.textContent = playing ? '❚❚' : '▶';
  view.player.play.setAttribute('aria-label', playing ? 'Pause' : 'Play');
  cancelAnimationFrame(view.request);
  if (!playing) return;
  if (view.seconds >= view.data.duration) seek(view, 0);
  view.before = null;
  view.request = requestAnimationFrame((now) => tick(view, now));
}

// Thirty pictures a second are smooth enough for dots, and leave the other half of the time to the
// charts.  While the server works on an answer the dots hold still: the answer comes first.
function tick(view, now) {
  view.request = requestAnimationFrame((next) => tick(view, next));
  const waited = (now - (view.before ?? now - FRAME)) / 1000;
  if (document.hidden || waited * 1000 < FRAME - 4) return;
  view.before = now;
  if (view.app?.getAttribute('data-test-script-state') === 'running') return;
  const elapsed = Math.min(LONGEST_FRAME, waited);
  const next = view.seconds + elapsed * remembered.speed;
  seek(view, next >= view.data.duration ? 0 : next); // start over: a map at rest looks broken
  if (!view.calm) moveDots(view, elapsed * Math.min(3, remembered.speed));
}

function buildMarks(view) {
  view.player.marks.replaceChildren();
  for (const [at, kind, text] of view.data.events.slice(0, 60)) {
    const mark = document.createElement('button');
    mark.type = 'button';
    mark.tabIndex = -1; // reached with the scrubber; sixty stops would bury what follows
    mark.className = kind;
    mark.title = `${minutes(at)} ${text}`;
    mark.style.left = `${(100 * at) / view.data.duration}%`;
    mark.onclick = () => seek(view, at);
    view.player.marks.append(mark);
  }
}

function listenToPlayer(view) {
  const { play: button, scrubber, speed } = view.player;
  button.onclick = () => play(view, !view.playing);
  scrubber.oninput = () => seek(view, Number(scrubber.value));
  speed.value = String(remembered.speed);
  speed.onchange = () => (remembered.speed = Number(speed.value));
  timechart.listen((seconds) => seek(view, seconds));
}

// ---------------------------------------------------------------- mounting

function mount(parentElement) {
  const find = (selector) => parentElement.querySelector(selector);
  const view = {
    root: find('.strata'),
    kpis: find('.kpis'),
    map: find('.map'),
    below: find('.below'),
    above: find('.above'),
    canvas: find('canvas'),
    player: {
      play: find('.play'),
      scrubber: find('.track input'),
      marks: find('.marks'),
      clock: find('.clock'),
      speed: find('.player select'),
      event: find('.event'),
    },
    calm: window.matchMedia('(prefers-reduced-motion: reduce)').matches,
    app: document.querySelector('[data-test-script-state]'),
    seconds: 0,
  };
  view.pen = view.canvas.getContext('2d');
  view.resized = new ResizeObserver(() => {
    if (!view.data || Math.abs(view.map.clientWidth - view.place.width) < 2) return;
    build(view);
    showRun(view);
    select(view, view.selected);
    seek(view, view.seconds);
  });
  view.resized.observe(view.map);
  views.set(parentElement, view);
  return view;
}

// A canvas takes no CSS variables: an element has to say what they come to in this theme.
function readColours(view) {
  const read = (name) => {
    view.canvas.style.color = `var(${name})`;
    return getComputedStyle(view.canvas).color;
  };
  view.colours = { dot: read('--st-primary-color'), bad: read('--bad'), muted: read('--muted') };
}

// What must be drawn anew when it differs; everything else only gets new numbers.
function shapeOf(data) {
  const nodes = data.nodes.map(({ id, title, layer, serves }) => [id, title, layer, serves]);
  return JSON.stringify([data.layers.length, nodes, data.edges]);
}

function receive(view, { map: data, selected }) {
  const shape = shapeOf(data);
  const fresh = view.data?.run !== data.run;
  view.data = data;
  if (shape !== view.shape) build(view);
  view.shape = shape;
  if (fresh) showRun(view);
  select(view, selected);
  if (!fresh) return;
  buildKpis(view);
  buildMarks(view);
  view.player.scrubber.max = data.duration;
  view.player.clock.textContent = '';
  seek(view, remembered.seconds ?? data.warmUp);
}

// Called by Streamlit on mount and again whenever the data change.
export default function flowmap({ data, parentElement, setTriggerValue }) {
  const known = views.get(parentElement);
  const view = known ?? mount(parentElement);
  const before = view.told;
  const show = (told) => {
    view.told = told;
    receive(view, JSON.parse(new TextDecoder().decode(told)));
    view.root.dataset.run = view.data.run; // drawn: tests and benchmarks wait for this
  };
  view.send = setTriggerValue;
  readColours(view);
  show(data);
  if (!known) {
    listenToPlayer(view);
    play(view, remembered.playing ?? !view.calm);
  }
  return () => {
    // A call that was overtaken while its module loaded is cleaned up at once, and may have come
    // after the one that overtook it: what was there before is what is to be seen.
    if (parentElement.isConnected) {
      if (before && view.told === data) show(before);
      return;
    }
    cancelAnimationFrame(view.request);
    view.resized.disconnect();
    timechart.point(null);
    timechart.listen(() => {});
    views.delete(parentElement);
  };
}
