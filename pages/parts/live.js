// The Live page: plays what the server has answered, one answer behind.

const LONGEST = 0.1; // seconds; after a pause of the tab, nothing leaps
const PICTURE_MS = 90; // between two pictures of the map's numbers: nobody reads faster
const LATEST = 5; // frames that decide whether a key number is flagged
const views = new WeakMap();

// ---------------------------------------------------------------- the moment

function available(film) {
  return film.rows.length * film.frame;
}

// Show a moment: map, numbers, clock, cursors, marks and log.
function goTo(view, seconds) {
  const { film } = view;
  film.moment = view.moment = Math.max(0, Math.min(available(film), seconds));
  film.edge = view.edge = Math.max(film.edge, film.moment);
  const frame = Math.max(0, Math.ceil(film.moment / film.frame - 1e-6) - 1);
  const row = film.rows[frame];
  const now = performance.now();
  if (row && frame !== view.frame && (!film.playing || now - view.shown > PICTURE_MS)) {
    view.shown = now;
    showServers(view, row[15]);
    showFrame(view, frame);
    showNumbers(view, frame);
    tellCharts(view, row);
    tellPart(view);
  }
  stretch(view);
  growCharts(view);
  timechart.point(film.moment);
  growLog(view);
  const happened = film.marks.filter(({ at }) => at <= view.edge).length;
  if (Math.min(happened, LINES_MAX) !== view.marked) {
    markCharts(view);
    buildMarks(view);
  }
  showClock(view);
}

// The charts and the track hold a round time, and the next one when that is full.
function stretch(view) {
  const { film, player } = view;
  const span = spanOf(view.edge, film.still.length);
  if (span === view.span) return;
  view.span = span;
  player.scrubber.max = span;
  buildMarks(view);
  stretchCharts(view);
}

function showClock(view) {
  const { film, player } = view;
  player.scrubber.value = film.moment;
  const text = minutes(film.moment);
  const behind = film.edge - film.moment > Math.max(1, film.frame);
  player.latest.disabled = !behind;
  if (player.clock.textContent === text) return;
  player.clock.textContent = text;
  view.whatIf.moment.textContent = `from ${text} on`;
  showForces(view);
  player.scrubber.setAttribute('aria-valuetext', `${text} of ${minutes(film.edge)}`);
}

// Look at a moment that has been: the run waits meanwhile.
function review(view, seconds) {
  play(view, false);
  goTo(view, Math.min(seconds, view.film.edge));
}

// How many of each part are in service: scaling and failures change it while the run goes on.
function showServers(view, servers) {
  view.data.nodes.forEach((node, index) => {
    if (!node.serves || node.instances === servers[index]) return;
    node.instances = servers[index];
    const { copies } = view.nodes[index];
    copies.textContent = node.instances === 1 ? '' : `×${node.instances}`;
  });
}

// ---------------------------------------------------------------- key numbers

// A key number's text is of this frame; whether it is flagged, of the last few.
const KPIS = [
  {
    label: 'Answered',
    help: 'Answers a second, and how many asked',
    of: (row) => NOW.second(row[1] / 10),
    note: (row) => `asked ${NOW.second(row[0] / 10)}`,
    state: (rows, { answered }) => below(total(rows, 1) / Math.max(1, total(rows, 0)), answered),
  },
  ...['P50', 'P95', 'P99'].map((name, index) => ({
    label: `Latency ${name}`,
    help: `${name.slice(1)} of 100 answers take at most this long`,
    of: (row) => (row[3 + index] === null ? '–' : NOW.ms(row[3 + index] / 10)),
    note: () => ['half are faster', '95 of 100 are faster', '99 of 100 are faster'][index],
    state: (rows, { latency }) => above((rows.at(-1)[3 + index] ?? 0) / 10, latency[index]),
  })),
  {
    label: 'Errors',
    help: 'Share of requests without an answer',
    of: (row) => NOW.percent((100 * row[2]) / Math.max(1, row[1] + row[2])),
    note: (row) => `${NOW.second(row[2] / 10)} failed`,
    state: (rows, { errors }) =>
      above(total(rows, 2) / Math.max(1, total(rows, 1) + total(rows, 2)), errors),
  },
  {
    label: 'Cost',
    help: 'What all machines cost an hour, in US dollars',
    of: (row) => `$${(row[7] / 100).toFixed(2)}/h`,
    note: (row) => `${short(row[6])} requests on their way`,
    state: () => 'o',
  },
];

function total(rows, column) {
  return rows.reduce((sum, row) => sum + row[column], 0);
}

function above(value, [warn, bad]) {
  return value >= bad ? 'b' : value >= warn ? 'w' : 'o';
}

function below(value, [warn, bad]) {
  return value < bad ? 'b' : value < warn ? 'w' : 'o';
}

function buildNumbers(view) {
  view.kpis.replaceChildren();
  view.cards = KPIS.map((kpi) => {
    const card = make('div', { className: 'kpi o', title: kpi.help });
    const parts = ['label', 'glyph', 'value', 'now'].map((name) => make('span', { className: name }));
    card.append(...parts);
    parts[0].textContent = kpi.label;
    parts[2].textContent = '–';
    view.kpis.append(card);
    return { card, glyph: parts[1], value: parts[2], now: parts[3] };
  });
}

function showNumbers(view, frame) {
  const rows = view.film.rows.slice(Math.max(0, frame + 1 - LATEST), frame + 1);
  const row = rows.at(-1);
  KPIS.forEach((kpi, index) => {
    const { card, glyph, value, now } = view.cards[index];
    const state = kpi.state(rows, view.film.still.limits);
    const [text, note] = [kpi.of(row), kpi.note(row)];
    if (value.textContent !== text) value.textContent = text;
    if (now.textContent !== note) now.textContent = note;
    if (card.dataset.state === state) return;
    card.dataset.state = state;
    card.className = `kpi ${state}`;
    glyph.textContent = state === 'o' ? '' : STATES[state].glyph;
    glyph.setAttribute('aria-label', { o: '', w: 'warning', b: 'bad' }[state]);
  });
}

// ---------------------------------------------------------------- playing

function play(view, playing) {
  const { film, player } = view;
  film.playing = playing;
  film.begun ||= playing;
  player.play.textContent = playing ? '❚❚' : '▶';
  player.play.setAttribute('aria-label', playing ? 'Pause' : 'Play');
  view.root.dataset.playing = playing;
  view.begin.hidden = film.begun;
  if (playing && film.over && film.moment >= available(film) - 1e-6) goTo(view, 0);
  view.before = null;
  if (!playing && view.data) goTo(view, film.moment); // what was left out while it played
  if (playing && !view.asked) ask(view);
}

// Every picture: on by what has passed, but never beyond what is here.
function tick(view, now) {
  view.request = requestAnimationFrame((next) => tick(view, next));
  const elapsed = Math.min(LONGEST, (now - (view.before ?? now)) / 1000);
  view.before = now;
  const { film } = view;
  if (!film.playing || document.hidden || !film.still) return;
  const until = available(film);
  const moment = film.moment + elapsed * habits.speed;
  if (until > 0) goTo(view, moment);
  if (film.over && film.moment >= until - 1e-6) finished(view);
  if (!view.calm) moveDots(view, elapsed * Math.min(3, habits.speed));
}

function finished(view) {
  play(view, false);
  buildAfter(view);
  showTab(view, 'after');
}

// One frame further; beyond what is here, one frame more is asked for.
function oneStep(view) {
  const { film } = view;
  play(view, false);
  film.begun = view.begin.hidden = true;
  const next = (Math.floor(film.moment / film.frame + 1e-6) + 1) * film.frame;
  if (next <= available(film) + 1e-6) goTo(view, next);
  else {
    film.wanted = next;
    ask(view);
  }
}

function buildMarks(view) {
  const { marks } = view.player;
  marks.replaceChildren();
  for (const { at, text, mark } of view.film.marks.filter(({ at }) => at <= view.edge).slice(-120)) {
    const button = make('button', { type: 'button', tabIndex: -1, textContent: mark.glyph });
    button.title = `${minutes(at)} ${text}`;
    button.style.left = `${(100 * at) / view.span}%`;
    button.style.color = `var(${mark.colour})`;
    button.dataset.kind = mark.word;
    button.onclick = () => review(view, at);
    marks.append(button);
  }
}

function listenToPlayer(view) {
  const { player } = view;
  player.play.onclick = () => play(view, !view.film.playing);
  view.begin.querySelector('button').onclick = () => {
    play(view, true);
    player.play.focus();
  };
  player.step.onclick = () => oneStep(view);
  player.scrubber.oninput = () => review(view, Number(player.scrubber.value));
  player.latest.onclick = () => {
    goTo(view, view.edge);
    if (!view.film.over) play(view, true);
  };
  player.speed.value = String(habits.speed);
  player.speed.onchange = () => (habits.speed = Number(player.speed.value));
  player.restart.onclick = () => act(view, { do: 'restart' });
  player.finish.onclick = () => {
    play(view, false);
    view.ending = true;
    act(view, { do: 'finish' });
  };
  view.small.onchange = () => {
    buildLog(view);
    growLog(view);
  };
}

// ---------------------------------------------------------------- mounting

function mount(parentElement) {
  const find = (selector) => parentElement.querySelector(selector);
  const all = (selector) => [...parentElement.querySelectorAll(selector)];
  const view = {
    root: find('.strata'),
    kpis: find('.kpis'),
    map: find('.map'),
    below: find('.below'),
    above: find('.above'),
    canvas: find('.map canvas'),
    begin: find('.begin'),
    plots: find('.plots'),
    beside: find('.beside'),
    tabs: all('[role="tab"]'),
    panels: all('[role="tabpanel"]'),
    side: find('.side'),
    forces: find('.forces'),
    told: find('.told'),
    about: find('.about'),
    log: find('.log'),
    small: find('.loghead input'),
    player: {
      play: find('.play'),
      step: find('.step'),
      scrubber: find('.track input'),
      marks: find('.marks'),
      clock: find('.clock'),
      latest: find('.latest'),
      speed: find('.speed'),
      restart: find('.restart'),
      finish: find('.finish'),
    },
    calm: window.matchMedia('(prefers-reduced-motion: reduce)').matches,
    breaking: habits.breaking,
    moment: 0,
    edge: 0,
    frame: -1,
    shown: 0,
    charted: 0,
  };
  view.pen = view.canvas.getContext('2d');
  view.begin.querySelector('span').textContent = 'Press play, then break something.';
  view.resized = new ResizeObserver(() => {
    if (!view.data) return;
    if (Math.abs(view.map.clientWidth - view.place.width) >= 2) drawMap(view);
    goTo(view, view.film.moment);
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
  const ink = read('--ink');
  if (view.paper === ink) return false;
  view.paper = ink;
  const known = new Map();
  view.ink = (name) => {
    if (!known.has(name)) known.set(name, read(name));
    return known.get(name);
  };
  view.font = getComputedStyle(view.root).fontFamily;
  view.colours = { dot: read('--st-primary-color'), bad: read('--bad'), muted: read('--muted') };
  return true;
}

function drawMap(view) {
  build(view);
  showRun(view);
  select(view, view.selected);
  view.frame = -1;
}

// Another run than the one on the screen: everything is built anew.
function changeRun(view, film) {
  const wasPlaying = view.film?.playing ?? false;
  const again = view.film && view.film.still;
  view.film = film;
  view.edge = film.edge;
  view.span = 0;
  view.data = screenplay(film);
  fillScreenplay(view.data, film);
  const send = view.send;
  drawMap(view);
  view.send = send;
  buildNumbers(view);
  buildCharts(view);
  buildBreak(view);
  buildWhatIf(view);
  buildAfter(view);
  buildLog(view);
  showTab(view, view.tab ?? habits.tab);
  play(view, again ? wasPlaying : film.playing);
  goTo(view, film.moment);
}

function receive(view, data) {
  const film = filmOf(data.run);
  if (view.asked) view.took = 0.7 * (view.took ?? 0.3) + 0.3 * ((performance.now() - view.asked) / 1000);
  view.asked = 0;
  view.answered = performance.now();
  const rivalBefore = film.rival?.id;
  const news = extend(film, data);
  film.acts = film.acts.filter(({ number }) => number > data.heard);
  tellRefusals(view, data.told);
  if (!film.still) {
    view.film ??= film; // and asks for it
    return;
  }
  const recoloured = readColours(view);
  if (view.built !== film) changeRun(view, film);
  view.built = film;
  if (fillScreenplay(view.data, film)) {
    const { frame } = view;
    showRun(view);
    view.frame = frame;
  }
  if (news) buildLog(view);
  if (rivalBefore !== film.rival?.id || recoloured) changeLines(view);
  showForces(view);
  if (film.rival || rivalBefore) tellWhatIf(view);
  view.beside.textContent = film.rival ? `Dashed: the same run, but ${film.rival.label}` : '';
  if (film.over) buildAfter(view);
  if (film.over && view.ending) {
    view.ending = false;
    goTo(view, available(film));
    finished(view);
  }
  if (film.wanted && film.wanted <= available(film) + 1e-6) {
    goTo(view, film.wanted);
    film.wanted = 0;
  } else if (!film.playing) goTo(view, film.moment);
}

// The page that was shown before may let go of the charts' clicks only now.
function lookAround(view) {
  if (!view.film) return;
  timechart.listen((seconds) => review(view, seconds));
  askIfNeeded(view);
}

// A click on a box says what it does at present, and offers what can be broken there.
function lookInto(view, id) {
  tellPart(view);
  const node = view.data.nodes.find((each) => each.id === id);
  if (node) view.openLayer?.(node.layer);
}

// Called by Streamlit on mount and again whenever the data change.
export default function live({ data, parentElement, setTriggerValue }) {
  const known = views.get(parentElement);
  const view = known ?? mount(parentElement);
  view.send = (name, value) => {
    if (name === 'ask') setTriggerValue(name, value);
    else lookInto(view, value);
  };
  if (!known) {
    listenToTabs(view);
    listenToPlayer(view);
    view.timer = setInterval(() => lookAround(view), ASK_MS);
    view.request = requestAnimationFrame((now) => tick(view, now));
  }
  const answer = JSON.parse(new TextDecoder().decode(data));
  receive(view, answer);
  view.root.dataset.run = answer.run; // drawn: tests and benchmarks wait for this
  return () => {
    if (parentElement.isConnected) return; // a call that was overtaken while its module loaded
    cancelAnimationFrame(view.request);
    clearInterval(view.timer);
    view.resized.disconnect();
    view.charts?.forEach(({ drawn }) => drawn.destroy());
    timechart.point(null);
    views.delete(parentElement);
  };
}
