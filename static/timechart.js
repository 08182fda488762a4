// A chart over time, with a cursor for the moment that the page speaks of.
//
// `create(host, spec)` draws into an element and returns the chart; `point(seconds)` moves the
// cursor of all charts, and a click in any of them goes to `listen`'s listener.  What a chart shows
// is plain data, described in Python (`pages/parts/charts.py`), so that a metric looks the same
// everywhere:
//
//   title, unit     over the plot, and after the numbers of the tooltip
//   label, caption  for those who cannot see it, and for everybody; the caption may be missing
//   lines           [{ name, colour, dash: 'solid' | 'dashed' | 'dotted', width, fill }]
//   data            [seconds, values of the first line, …]; null is a gap
//   span            [first, last] second of the axis; null: as the data go
//   top, step       upper end and steps of the scale; null: round numbers that hold all values
//   clock           whether seconds are said as minutes and seconds
//   shades, marks   [[from, to]] and [second] to be pointed out
//
// Colours are CSS colours, `var(…)` and `light-dark(…)` among them.  Styles: `timechart.css`.

import uPlot from './uplot/uPlot.esm.js';

const HEIGHT = 136; // of plot and time axis
const SCALE_WIDTH = 42; // of the numbers on the left
const AXIS_HEIGHT = 20;
const STEPS = 5; // of the scale, at most
const CLOCK = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400]; // seconds
const DASHES = { solid: [], dashed: [6, 4], dotted: [2, 3] };

const all = new Set();
const page = { moment: null, picked: () => {} };

// Move the cursor of every chart on the page; null takes it away.
export function point(seconds) {
  page.moment = seconds;
  for (const chart of all) moveCursor(chart);
}

// Tell `picked` which second is clicked in any chart.
export function listen(picked) {
  page.picked = picked;
}

export function create(host, spec) {
  const chart = {
    ...build(host),
    colours: new Map(),
    set: (next) => show(chart, next),
    setData: (data) => show(chart, { ...chart.spec, data }),
    append: (columns, keep = Infinity) => append(chart, columns, keep),
    marks: (marks) => show(chart, { ...chart.spec, marks }),
    destroy: () => destroy(chart),
  };
  chart.resized = new ResizeObserver(() => fit(chart));
  chart.resized.observe(chart.plot);
  all.add(chart);
  show(chart, spec);
  // Letters that arrive late would leave the axes in another font.
  document.fonts?.ready.then(() => chart.drawing?.redraw(false, true));
  return chart;
}

function destroy(chart) {
  all.delete(chart);
  chart.resized.disconnect();
  chart.drawing.destroy();
  chart.drawing = null;
  chart.root.remove();
}

// ---------------------------------------------------------------- elements

function element(name, className, parent) {
  const made = document.createElement(name);
  made.className = className;
  parent?.append(made);
  return made;
}

function build(host) {
  const root = element('figure', 'timechart', host);
  const picture = element('div', 'picture', root);
  picture.setAttribute('role', 'img');
  const head = element('div', 'head', picture);
  return {
    root,
    picture,
    title: element('div', 'title', head),
    names: element('div', 'names', head),
    plot: element('div', 'plot', picture),
    caption: element('figcaption', '', root),
    line: element('div', 'moment', null),
    tip: element('div', 'tip', null),
  };
}

// A line's name beside a piece of the line.
function key(line, parent) {
  const entry = element('span', 'key', parent);
  entry.style.setProperty('--colour', line.colour);
  entry.style.setProperty('--dash', line.dash ?? 'solid');
  entry.textContent = line.name; // never innerHTML: titles come from people's files
  return entry;
}

// ---------------------------------------------------------------- what is shown

// Show a spec.  The drawing stays; only another number of lines needs a new one.
function show(chart, spec) {
  const before = chart.spec;
  chart.spec = spec;
  chart.colours.clear(); // the theme may be another
  say(chart, spec, before);
  if (!chart.drawing || before.lines.length !== spec.lines.length) {
    draw(chart);
    return;
  }
  spec.lines.forEach((line, index) => Object.assign(chart.drawing.series[index + 1], pen(line)));
  chart.drawing.setData(spec.data);
}

function say(chart, spec, before) {
  const change = (target, text) => {
    if (target.textContent !== text) target.textContent = text;
  };
  change(chart.title, spec.title);
  change(chart.caption, spec.caption ?? '');
  if (JSON.stringify(before?.lines) === JSON.stringify(spec.lines)) return;
  chart.names.replaceChildren();
  for (const line of spec.lines) key(line, chart.names);
}

// Add columns of [seconds, values …] at the end, and let go of what is older than `keep` seconds.
function append(chart, columns, keep) {
  const joined = chart.spec.data.map((column, index) => [...column, ...columns[index]]);
  const oldest = joined[0].at(-1) - keep;
  const first = Math.max(0, joined[0].findIndex((at) => at >= oldest));
  show(chart, { ...chart.spec, data: joined.map((column) => column.slice(first)) });
}

// ---------------------------------------------------------------- drawing

function draw(chart) {
  chart.drawing?.destroy();
  chart.font = `11px ${getComputedStyle(chart.root).fontFamily}`;
  chart.drawing = new uPlot(options(chart), chart.spec.data, chart.plot);
  const { over } = chart.drawing;
  over.append(chart.line, chart.tip);
  over.onclick = (event) => page.picked(chart.drawing.posToVal(event.offsetX, 'x'));
}

function options(chart) {
  const muted = () => colour(chart, 'var(--muted)');
  const axis = { stroke: muted, font: chart.font, ticks: { show: false } };
  return {
    width: chart.plot.clientWidth,
    height: HEIGHT,
    padding: [6, 14, 0, 0],
    legend: { show: false },
    select: { show: false },
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      points: { size: 6, width: 0 },
      bind: { dblclick: () => null },
    },
    scales: { x: { time: false, range: () => span(chart) }, y: { range: () => [0, top(chart)] } },
    axes: [
      {
        ...axis,
        size: AXIS_HEIGHT,
        gap: 4,
        space: 40,
        ...(chart.spec.clock && { incrs: CLOCK }),
        grid: { show: false },
        border: { show: true, width: 1, stroke: () => faint(chart, 0.5) },
        values: (u, seconds) => seconds.map((at) => (chart.spec.clock ? clock(at) : `${at} s`)),
      },
      {
        ...axis,
        size: SCALE_WIDTH,
        gap: 5,
        splits: () => splits(chart),
        grid: { width: 1, stroke: () => faint(chart, 0.16) },
        values: (u, values) => values.map((value) => value.toLocaleString('en-US')),
      },
    ],
    series: [{}, ...chart.spec.lines.map((line, index) => ({
      points: { show: false },
      stroke: () => colour(chart, chart.spec.lines[index].colour),
      fill: () => filling(chart, chart.spec.lines[index]),
      ...pen(line),
    }))],
    hooks: {
      drawClear: [(u) => drawShades(chart, u)],
      drawAxes: [(u) => drawMarks(chart, u)],
      draw: [() => drawn(chart)],
      setCursor: [() => showTip(chart)],
      setSize: [() => moveCursor(chart)],
    },
  };
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}

// How a line is drawn, of what may differ from run to run.
function pen(line) {
  return { width: line.width ?? 1.8, dash: DASHES[line.dash ?? 'solid'] };
}

function filling(chart, line) {
  return line.fill ? translucent(colour(chart, line.colour), 0.22) : null;
}

// The canvas has what the description says: only now may a reader, or a test, be told so.
function drawn(chart) {
  chart.picture.setAttribute('aria-label', chart.spec.label);
  moveCursor(chart);
}

function fit(chart) {
  const width = chart.plot.clientWidth;
  if (chart.drawing && width > 0 && width !== chart.drawing.width) {
    chart.drawing.setSize({ width, height: HEIGHT });
  }
}

// ---------------------------------------------------------------- scales

function span(chart) {
  if (chart.spec.span) return chart.spec.span;
  const [seconds] = chart.spec.data;
  return seconds.length ? [seconds[0], Math.max(seconds.at(-1), seconds[0] + 1)] : [0, 1];
}

function top(chart) {
  return chart.spec.top ?? Math.ceil(highest(chart.spec) / step(chart)) * step(chart);
}

function highest({ data }) {
  let high = 0;
  for (const column of data.slice(1)) for (const value of column) if (value > high) high = value;
  return high || 1;
}

// The smallest round step of which a few reach over all values.
function step(chart) {
  if (chart.spec.step) return chart.spec.step;
  const least = highest(chart.spec) / STEPS;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 2.5, 5, 10].find((each) => each * power >= least * (1 - 1e-9));
}

function splits(chart) {
  const size = step(chart);
  const count = Math.round(top(chart) / size);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * size).toPrecision(12)));
}

// ---------------------------------------------------------------- shades, marks, colours

function drawShades(chart, drawing) {
  const { ctx, bbox } = drawing;
  ctx.save();
  ctx.fillStyle = faint(chart, 0.1);
  for (const [from, to] of chart.spec.shades ?? []) {
    const [left, right] = [from, to].map((at) => drawing.valToPos(at, 'x', true));
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

// A dotted line at each moment at which something happened.
function drawMarks(chart, drawing) {
  const { ctx, bbox } = drawing;
  ctx.save();
  ctx.strokeStyle = faint(chart, 0.7);
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([devicePixelRatio, 2 * devicePixelRatio]);
  ctx.beginPath();
  for (const at of chart.spec.marks ?? []) {
    const x = Math.round(drawing.valToPos(at, 'x', true)) + 0.5;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}

// A canvas takes no CSS variables: an element has to say what they come to in this theme.
function colour({ colours, line }, css) {
  if (!colours.has(css)) {
    line.style.color = css;
    colours.set(css, getComputedStyle(line).color);
  }
  return colours.get(css);
}

function faint(chart, share) {
  return translucent(colour(chart, 'var(--muted)'), share);
}

function translucent(rgb, share) {
  const parts = rgb.match(/[\d.]+/g).slice(0, 3);
  return `rgba(${parts.join(',')},${share})`;
}

// ---------------------------------------------------------------- moments

// Show the moment of the page, or none.
function moveCursor(chart) {
  const [first, last] = span(chart);
  const share = (page.moment - first) / (last - first);
  const seen = page.moment !== null && share >= 0 && share <= 1;
  chart.line.style.display = seen ? '' : 'none';
  if (!seen) return;
  // Asking an element for its width would lay out the page in every picture.
  const width = chart.drawing.bbox.width / devicePixelRatio;
  chart.line.style.transform = `translateX(${share * width}px)`;
}

// What all lines come to where the pointer is.
function showTip(chart) {
  const { drawing, tip, spec } = chart;
  const index = drawing?.cursor.idx ?? null;
  tip.style.display = index === null ? 'none' : '';
  if (index === null) return;
  tip.replaceChildren();
  const at = spec.data[0][index];
  element('b', '', tip).textContent = spec.clock ? clock(at) : `${Number(at.toFixed(1))} s`;
  spec.lines.forEach((line, row) => {
    const value = spec.data[row + 1][index];
    key(line, tip);
    const told = value === null ? '–' : `${Math.round(value).toLocaleString('en-US')} ${spec.unit}`;
    element('span', 'value', tip).textContent = told;
  });
  const { left } = drawing.cursor;
  const room = drawing.over.clientWidth;
  tip.style.left = left < room / 2 ? `${left + 12}px` : '';
  tip.style.right = left < room / 2 ? '' : `${room - left + 12}px`;
}
