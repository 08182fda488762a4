// Charts that grow, as `static/timechart.js` draws them: here is what they show of a live run, and the
// marks of what happened.  Columns are filled in place; only their numbers ever go to the drawing.

const SPANS = [60, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 7200, 14400, 28800, 86400];
const SHORT = ['people', 'edge', 'app', 'cache', 'workers', 'data', 'watch'];
const LAYER_NAMES = [
  'client', 'edge', 'application', 'cache', 'asynchronous', 'data', 'observability',
];
const CHART_MS = 40; // between two drawings of a chart
const LINES_MAX = 60; // marks drawn in a chart; the log has them all

// `of` reads a line's value off a row; `main` lines are drawn of the run beside too.
const CHARTS = [
  {
    title: 'Latency',
    unit: 'ms',
    help: 'How long answers take: half of them at most P50, 95 of 100 at most P95, 99 at most P99',
    lines: [
      { name: 'P50', colour: 'var(--p50)', of: (row) => tenths(row[3]) },
      { name: 'P95', colour: 'var(--p95)', of: (row) => tenths(row[4]) },
      { name: 'P99', colour: 'var(--p99)', of: (row) => tenths(row[5]), main: true },
    ],
  },
  {
    title: 'Requests',
    unit: '/s',
    help: 'How many a second ask, are answered, and get no answer',
    lines: [
      { name: 'asked', colour: 'var(--muted)', of: (row) => tenths(row[0]) },
      { name: 'answered', colour: 'var(--answered)', of: (row) => tenths(row[1]), main: true },
      { name: 'failed', colour: 'var(--bad)', of: (row) => tenths(row[2]), main: true, fill: true },
    ],
  },
  {
    title: 'Busy',
    unit: '%',
    help: 'The busiest part of each layer; from about 75 % on its line of waiting grows long',
    top: 100,
    step: 25,
    lines: layerLines((row, layer) => row[8][layer]),
  },
  {
    title: 'Servers',
    unit: '',
    counts: true,
    help: 'How many servers of each layer are in service',
    lines: layerLines((row, layer) => row[9][layer]),
  },
];

function layerLines(of) {
  return [2, 3, 4, 5].map((layer) => ({
    layer,
    name: SHORT[layer],
    colour: `var(--layer-${LAYER_NAMES[layer]})`,
    main: true,
    of: (row) => of(row, layer),
  }));
}

function tenths(value) {
  return value === null ? null : value / 10;
}

// A round time that holds so much, and at last the whole run.
function spanOf(seconds, length) {
  const enough = SPANS.find((span) => span >= seconds) ?? seconds;
  return seconds > length / 2 ? Math.max(seconds, Math.min(enough, length)) : enough;
}

// ---------------------------------------------------------------- building

function buildCharts(view) {
  view.charts?.forEach(({ drawn }) => drawn.destroy());
  view.charts = CHARTS.map((kind) => {
    const chart = { kind, values: [] };
    chart.marks = make('div', { className: 'happened' });
    chart.spec = specOf(view, chart);
    chart.drawn = timechart.create(view.plots, chart.spec);
    chart.drawn.root.title = kind.help;
    nameLines(chart);
    return chart;
  });
}

// What is drawn: this run's lines, then dashed those of the run beside, as far as they have been shown.
function specOf(view, chart) {
  const { kind } = chart;
  const { nodes } = view.film.still;
  const there = kind.lines.filter((line) =>
    line.layer === undefined || nodes.some(({ layer, serves }) => serves && layer === line.layer));
  const own = there.map((line) => ({ ...line, dash: 'solid', width: line.main ? 1.7 : 1.3 }));
  const others = view.film.rival ? there.filter(({ main }) => main) : [];
  const beside = others.map((line) => ({
    ...line, name: `${line.name}, what if`, dash: 'dashed', width: 1.3, fill: false,
  }));
  const data = [[], ...own.map(() => []), ...beside.map(() => [])];
  Object.assign(chart, { data, own, beside, count: 0, others: 0 });
  return {
    title: kind.title,
    unit: kind.unit,
    label: `${kind.title} over time. ${kind.help}.`,
    clock: true,
    lines: [...own, ...beside].map(({ name, colour, dash, width, fill }) =>
      ({ name, colour, dash, width, fill: fill ?? false })),
    data,
    span: [0, view.span || SPANS[0]],
    top: kind.top ?? null,
    step: kind.step ?? null,
  };
}

// Beside each line's name stands its value at the moment that is shown.
function nameLines(chart) {
  const { names, drawing } = chart.drawn;
  chart.values = chart.own.map((line) => {
    const value = make('b', {});
    const entry = make('span', { className: 'key' }, `${line.name} `, value);
    entry.style.setProperty('--colour', line.colour);
    entry.style.setProperty('--dash', 'solid');
    return { entry, value };
  });
  names.replaceChildren(...chart.values.map(({ entry }) => entry));
  drawing.over.append(chart.marks);
}

// ---------------------------------------------------------------- growing

// Another run beside, or none, or the theme is another: the lines are others.
function changeLines(view) {
  for (const chart of view.charts) {
    chart.spec = specOf(view, chart);
    chart.drawn.set(chart.spec);
    nameLines(chart);
  }
  growCharts(view, { all: true });
}

// Bring the charts to the newest moment that has been shown: while it plays one after the other, so
// that no picture is late.
function growCharts(view, { all = false } = {}) {
  const now = performance.now();
  const { playing } = view.film;
  if (!all && playing && now - view.charted < CHART_MS) return;
  view.charted = now;
  const shown = Math.floor(view.edge / view.film.frame + 1e-6);
  for (const chart of view.charts) chart.stale = fill(view, chart, shown) || chart.stale || all;
  const waiting = view.charts.filter(({ stale }) => stale);
  for (const chart of playing && !all ? waiting.slice(0, 1) : waiting) {
    chart.stale = false;
    if (chart.kind.counts) wholeScale(chart);
    chart.drawn.drawing.setData(chart.data);
  }
  view.charts.push(view.charts.shift()); // another comes first next time
}

// Whole numbers on the scale, and room above the highest line.
function wholeScale({ data, spec }) {
  const highest = Math.max(1, ...data.slice(1).map((column) => column.at(-1) ?? 0), (spec.top ?? 1) - 1);
  spec.step = Math.ceil(highest / 4);
  spec.top = (Math.floor(highest / spec.step) + 1) * spec.step;
}

// Add what has been shown since to a chart's columns; return whether there was anything.
function fill(view, chart, shown) {
  const { rows, frame, rival } = view.film;
  const [seconds, ...columns] = chart.data;
  const before = [chart.count, chart.others];
  for (; chart.count < Math.min(shown, rows.length); chart.count += 1) {
    seconds.push((chart.count + 1) * frame);
    chart.own.forEach((line, index) => columns[index].push(line.of(rows[chart.count])));
    for (const column of columns.slice(chart.own.length)) column.push(null);
  }
  const last = Math.min(chart.count, rival?.rows.length ?? 0);
  for (; chart.others < last; chart.others += 1) {
    chart.beside.forEach((line, index) => {
      columns[chart.own.length + index][chart.others] = line.of(rival.rows[chart.others]);
    });
  }
  return chart.count !== before[0] || chart.others !== before[1];
}

function stretchCharts(view) {
  for (const chart of view.charts) chart.spec.span = [0, view.span];
  markCharts(view);
  growCharts(view, { all: true });
}

// ---------------------------------------------------------------- marks

// A thin line with its glyph on top for each thing that happened and has been shown.
function markCharts(view) {
  const shown = view.film.marks.filter(({ at }) => at <= view.edge).slice(-LINES_MAX);
  view.marked = shown.length;
  for (const chart of view.charts) {
    let last = -Infinity;
    chart.marks.replaceChildren(...shown.map(({ at, mark, text }) => {
      const share = at / view.span;
      const crowded = share - last < 0.06;
      if (!crowded) last = share;
      const line = make('i', { textContent: crowded ? '' : mark.glyph });
      line.style.left = `${100 * share}%`;
      line.style.setProperty('--colour', `var(${mark.colour})`);
      line.title = `${minutes(at)} ${text}`;
      return line;
    }));
  }
}

// ---------------------------------------------------------------- the moment

// The numbers beside the lines' names at the moment that is shown.
function tellCharts(view, row) {
  for (const { kind, own, values } of view.charts) {
    own.forEach((line, index) => {
      const value = line.of(row);
      const text = value === null ? '–' : lineText(kind.unit, value);
      if (values[index].value.textContent !== text) values[index].value.textContent = text;
    });
  }
}

function lineText(unit, value) {
  if (unit === 'ms') return NOW.ms(value);
  if (unit === '%') return NOW.percent(value);
  return unit ? NOW.second(value) : String(value);
}
