// Charts that grow.  A chart is a canvas on which only the newest piece of each line is drawn; all of
// it is drawn anew when its scale, its size, the theme or a mark changes.

const PAD = { left: 34, right: 6, top: 11, bottom: 14 };
const SPANS = [60, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 7200, 14400, 28800, 86400];

// One line of a chart: its name, colour (a CSS variable), and its number in a row of `live.js`.
const CHARTS = [
  {
    title: 'Latency',
    unit: 'ms',
    help: 'How long answers take: half of them at most P50, 95 of 100 at most P95, 99 at most P99',
    lines: [
      { name: 'P50', colour: '--p50', of: (row) => tenths(row[3]) },
      { name: 'P95', colour: '--p95', of: (row) => tenths(row[4]) },
      { name: 'P99', colour: '--p99', of: (row) => tenths(row[5]), main: true },
    ],
  },
  {
    title: 'Requests',
    unit: '/s',
    help: 'How many a second ask, are answered, and get no answer',
    lines: [
      { name: 'asked', colour: '--muted', of: (row) => tenths(row[0]) },
      { name: 'answered', colour: '--answered', of: (row) => tenths(row[1]), main: true },
      { name: 'failed', colour: '--bad', of: (row) => tenths(row[2]), main: true },
    ],
  },
  {
    title: 'Busy',
    unit: '%',
    help: 'The busiest part of each layer; near 100 % lines grow without end',
    least: 100,
    lines: layerLines([2, 3, 4, 5], (row, layer) => row[8][layer]),
  },
  {
    title: 'Servers',
    unit: '',
    help: 'How many servers of each layer are in service',
    least: 4,
    steps: true,
    lines: layerLines([2, 3, 4, 5], (row, layer) => row[9][layer]),
  },
];
const SHORT = ['people', 'edge', 'app', 'cache', 'workers', 'data', 'watch'];
const LAYER_NAMES = [
  'client', 'edge', 'application', 'cache', 'asynchronous', 'data', 'observability',
];

function layerLines(layers, of) {
  return layers.map((layer) => ({
    layer,
    name: '',
    colour: '',
    main: true,
    of: (row) => of(row, layer),
  }));
}

function tenths(value) {
  return value === null ? null : value / 10;
}

// ---------------------------------------------------------------- scales

// The next round number above a value: 1, 1.5, 2, 3, 5, 7.5 times a power of ten.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 5, 7.5, 10].find((each) => each * power >= value * 0.999);
}

function spanOf(seconds, length) {
  const enough = SPANS.find((span) => span >= seconds) ?? seconds;
  return seconds > length * 0.5 ? Math.max(seconds, Math.min(enough, length)) : enough;
}

// ---------------------------------------------------------------- building

function buildCharts(view) {
  view.plots.replaceChildren();
  view.charts = CHARTS.map((kind) => {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const box = document.createElement('div');
    const canvas = document.createElement('canvas');
    const cursor = document.createElement('div');
    caption.title = kind.help;
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${kind.title} over time. ${kind.help}.`);
    box.className = 'plot';
    cursor.className = 'cursor';
    box.append(canvas, cursor);
    figure.append(caption, box);
    view.plots.append(figure);
    const lines = kind.lines.map((line) => legend(caption, kind, line));
    const chart = { kind, lines, canvas, cursor, box, pen: canvas.getContext('2d'), top: 0 };
    box.onclick = (event) => {
      const { left } = canvas.getBoundingClientRect();
      const share = (event.clientX - left - PAD.left) / (chart.width - PAD.left - PAD.right);
      if (share >= 0 && share <= 1) review(view, share * view.span);
    };
    return chart;
  });
}

// Title, then a dot of its colour, name and present value of each line: words beside the picture.
function legend(caption, kind, line) {
  if (!caption.childNodes.length) {
    const title = document.createElement('b');
    title.textContent = kind.title;
    caption.append(title);
  }
  const layer = line.layer === undefined ? null : line.layer;
  const name = layer === null ? line.name : SHORT[layer];
  const colour = layer === null ? line.colour : `--layer-${LAYER_NAMES[layer]}`;
  const item = document.createElement('span');
  const dot = document.createElement('i');
  const value = document.createElement('em');
  dot.style.background = `var(${colour})`;
  item.append(dot, `${name} `, value);
  caption.append(item);
  return { ...line, colour, value, label: name, reached: 0 };
}

function sizeCharts(view) {
  const density = Math.min(2, window.devicePixelRatio || 1);
  for (const chart of view.charts) {
    const { clientWidth, clientHeight } = chart.box;
    if (chart.width === clientWidth && chart.height === clientHeight) continue;
    chart.width = clientWidth;
    chart.height = clientHeight;
    chart.canvas.width = clientWidth * density;
    chart.canvas.height = clientHeight * density;
    chart.pen.setTransform(density, 0, 0, density, 0, 0);
    chart.drawn = -1;
  }
}

// ---------------------------------------------------------------- drawing

// Bring every chart to the newest moment that has been shown.
function growCharts(view) {
  const { rows, frame } = view.film;
  const whole = Math.floor(view.edge / frame + 1e-6);
  for (const chart of view.charts) {
    const highest = Math.max(chart.kind.least ?? 0, peak(view, chart, whole));
    const top = highest > chart.top || !chart.top ? roundUp(Math.max(highest * 1.08, 1e-3)) : chart.top;
    if (top !== chart.top || chart.span !== view.span) chart.drawn = -1;
    chart.top = chart.kind.least === 100 ? Math.min(top, 100) : top;
    chart.span = view.span;
    if (chart.drawn < 0) drawWhole(view, chart, rows, whole);
    else drawNewest(view, chart, rows);
  }
}

// The highest value up to now, remembered from call to call.
function peak(view, chart, whole) {
  const { rows } = view.film;
  for (chart.seen = chart.seen ?? 0; chart.seen < Math.min(whole + 1, rows.length); chart.seen += 1) {
    for (const line of chart.lines) {
      chart.highest = Math.max(chart.highest ?? 0, line.of(rows[chart.seen]) ?? 0);
    }
  }
  const beside = view.film.rival?.rows ?? [];
  const last = Math.min(whole + 1, beside.length);
  for (chart.besides = chart.besides ?? 0; chart.besides < last; chart.besides += 1) {
    for (const line of chart.lines.filter(({ main }) => main)) {
      chart.highest = Math.max(chart.highest ?? 0, line.of(beside[chart.besides]) ?? 0);
    }
  }
  return chart.highest ?? 0;
}

function across(view, chart, seconds) {
  return PAD.left + (seconds / view.span) * (chart.width - PAD.left - PAD.right);
}

function up(chart, value) {
  const height = chart.height - PAD.top - PAD.bottom;
  return PAD.top + height * (1 - Math.min(1, value / chart.top));
}

function drawWhole(view, chart, rows, whole) {
  const { pen } = chart;
  pen.clearRect(0, 0, chart.width, chart.height);
  drawGrid(view, chart);
  drawMarks(view, chart);
  const beside = view.film.rival?.rows ?? [];
  const shown = Math.min(whole, beside.length);
  pen.setLineDash([4, 3]);
  for (const line of chart.lines.filter(({ main }) => main)) drawLine(view, chart, line, beside, shown);
  pen.setLineDash([]);
  for (const line of chart.lines) drawLine(view, chart, line, rows, Math.min(whole, rows.length));
  chart.drawn = whole * view.film.frame;
  drawNewest(view, chart, rows);
}

function drawGrid(view, chart) {
  const { pen, width, height } = chart;
  pen.font = `10px ${view.font}`;
  pen.fillStyle = pen.strokeStyle = view.ink('--muted');
  pen.lineWidth = 1;
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(up(chart, share * chart.top)) + 0.5;
    pen.globalAlpha = 0.25;
    stroke(pen, PAD.left, y, width - PAD.right, y);
    pen.globalAlpha = 1;
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    if (view.edge > 0) pen.fillText(axisText(chart, share * chart.top), PAD.left - 4, y);
  }
  pen.textBaseline = 'alphabetic';
  for (const share of [0, 0.5, 1]) {
    pen.textAlign = ['left', 'center', 'right'][share * 2];
    pen.fillText(minutes(share * view.span), across(view, chart, share * view.span), height - 3);
  }
}

function axisText(chart, value) {
  if (chart.kind.unit === 'ms' && chart.top >= 5000) return `${short(value / 1000)} s`;
  return Number.isInteger(value) ? value.toLocaleString('en-US') : short(value);
}

function stroke(pen, x, y, toX, toY) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(toX, toY);
  pen.stroke();
}

// Each mark is a thin line with its glyph on top; the log and the track say the rest.
function drawMarks(view, chart) {
  const { pen } = chart;
  let last = -99;
  for (const { at, mark } of view.film.marks) {
    if (at > view.edge) break;
    const x = across(view, chart, at);
    pen.strokeStyle = pen.fillStyle = view.ink(mark.colour);
    pen.globalAlpha = 0.7;
    pen.lineWidth = 1;
    pen.setLineDash([2, 2]);
    stroke(pen, x, PAD.top, x, chart.height - PAD.bottom);
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    if (x - last < 9) continue;
    last = x;
    pen.textAlign = 'center';
    pen.font = `bold 10px ${view.font}`;
    pen.fillText(mark.glyph, x, PAD.top - 2);
  }
}

// A line through so many rows; where there are more than pixels, the highest of each pixel.
function drawLine(view, chart, line, rows, count) {
  const { pen } = chart;
  const { frame } = view.film;
  const stride = Math.max(1, Math.ceil(count / (chart.width * 1.5)));
  pen.strokeStyle = view.ink(line.colour);
  pen.lineWidth = line.main ? 1.6 : 1.2;
  pen.lineJoin = 'round';
  pen.beginPath();
  let down = false;
  for (let first = 0; first < count; first += stride) {
    let value = null;
    for (let at = first; at < Math.min(count, first + stride); at += 1) {
      const here = line.of(rows[at]);
      if (here !== null && (value === null || here > value)) value = here;
    }
    if (value === null) down = false;
    else {
      const x = across(view, chart, (Math.min(count, first + stride)) * frame);
      if (down) pen.lineTo(x, up(chart, value));
      else pen.moveTo(x, up(chart, value));
      down = true;
    }
  }
  pen.stroke();
}

// What has come since: from where the pen stood to the present moment, between two rows.
function drawNewest(view, chart, rows) {
  const { frame } = view.film;
  const from = chart.drawn;
  if (across(view, chart, view.edge) - across(view, chart, from) < 1) return;
  const beside = view.film.rival?.rows ?? [];
  for (let at = Math.floor(from / frame + 1e-6); at * frame < view.edge; at += 1) {
    const start = Math.max(from, at * frame);
    const end = Math.min(view.edge, (at + 1) * frame);
    for (const line of chart.lines) {
      if (line.main) drawPiece(view, chart, line, beside, at, start, end, true);
      drawPiece(view, chart, line, rows, at, start, end, false);
    }
  }
  chart.drawn = view.edge;
}

function drawPiece(view, chart, line, rows, at, start, end, dashed) {
  const { pen } = chart;
  const { frame } = view.film;
  if (at >= rows.length) return;
  const late = line.of(rows[at]);
  const soon = at > 0 ? line.of(rows[at - 1]) : late;
  if (late === null || soon === null) return;
  const value = (seconds) => soon + (late - soon) * (seconds / frame - at);
  const [x, toX] = [across(view, chart, start), across(view, chart, end)];
  if (dashed && Math.floor(x / 4) % 2) return;
  pen.strokeStyle = view.ink(line.colour);
  pen.lineWidth = line.main ? 1.6 : 1.2;
  pen.beginPath();
  pen.moveTo(x, up(chart, value(start)));
  pen.lineTo(toX, up(chart, value(end)));
  pen.stroke();
}

function redrawCharts(view, { forget = false } = {}) {
  for (const chart of view.charts) {
    chart.drawn = -1;
    if (forget) Object.assign(chart, { top: 0, seen: 0, besides: 0, highest: 0 });
  }
}

// ---------------------------------------------------------------- the moment

function moveCursors(view) {
  for (const chart of view.charts) {
    const x = across(view, chart, view.moment);
    chart.cursor.style.transform = `translateX(${x.toFixed(1)}px)`;
  }
}

// The numbers beside the charts at the moment that is shown.
function tellCharts(view, row) {
  for (const chart of view.charts) {
    for (const line of chart.lines) {
      const value = line.of(row);
      const text = value === null ? '–' : lineText(chart.kind.unit, value);
      if (line.value.textContent !== text) line.value.textContent = text;
    }
  }
}

function lineText(unit, value) {
  if (unit === 'ms') return NOW.ms(value);
  if (unit === '%') return NOW.percent(value);
  return unit ? NOW.rate(value) : String(value);
}
