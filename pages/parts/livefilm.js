// What has been heard of a live run, and asking for more.
//
// An ask says what is here, up to when to know more, and what the person has done since.  Asking
// again does no harm: the server sends what is missing, and does an act of one number once.

const ASK_MS = 200; // how often it looks whether to ask
const POLL_MS = 1000; // between two looks at a post-mortem in the making
const LATE_MS = 4000; // an answer that takes longer is asked for again
const LEAD = { least: 0.5, most: 3 }; // seconds of playing that lie ready; answers take as long
const FETCH = 0.8; // seconds of playing that an answer brings besides
// It outlives a re-mount: the runs, and how they were watched.
const films = new Map();
const habits = { speed: 1, number: 0, breaking: 2, tab: 'break' };

// ---------------------------------------------------------------- what is known of a run

function filmOf(run) {
  if (!films.has(run)) {
    for (const old of [...films.keys()].slice(0, -1)) films.delete(old);
    films.set(run, {
      run, rows: [], events: [], marks: [], entries: [], still: null, rival: null, now: 0, acts: [],
      moment: 0, edge: 0, playing: false, begun: false, over: false, frame: 1, forces: [],
    });
  }
  return films.get(run);
}

// Add what an answer brings; what is here already, or does not join on, is left out.
function extend(film, data) {
  film.still ??= data.still;
  film.frame = film.still?.frame ?? 1;
  film.now = data.now;
  film.over = data.over;
  film.stopped = data.stopped;
  film.forces = data.forces;
  film.report = data.report;
  film.writing = data.writing;
  if (data.first <= film.rows.length) film.rows.push(...data.rows.slice(film.rows.length - data.first));
  const fresh = data.firstEvent <= film.events.length
    ? data.events.slice(film.events.length - data.firstEvent) : [];
  for (const [at, kind, station, text] of fresh) {
    const mark = MARKS[kind] ?? QUIET;
    const event = { at, kind, station, text, mark, quiet: mark === QUIET };
    film.events.push(event);
    if (!event.quiet) film.marks.push(event);
  }
  const other = data.rival;
  if (other?.id !== film.rival?.id) film.rival = other && { id: other.id, label: other.label, rows: [] };
  if (!other) return fresh.length > 0;
  film.rival.refused = other.refused;
  const missing = film.rival.rows.length - other.first;
  if (missing >= 0) film.rival.rows.push(...other.rows.slice(missing));
  return fresh.length > 0;
}

// What `flowmap.js` draws from: columns a part or connection, one value a frame.
function screenplay(film) {
  const { still } = film;
  const blank = (list) => list.map(() => []);
  return {
    run: film.run,
    layers: still.layers,
    nodes: still.nodes.map((node) => ({ ...node })),
    edges: still.edges,
    busy: blank(still.nodes),
    stat: blank(still.nodes),
    states: blank(still.nodes),
    rate: blank(still.edges),
    failing: blank(still.nodes),
    count: 0,
  };
}

// Return whether a connection is used that was not before: the map draws those only.
function fillScreenplay(data, film) {
  let news = false;
  for (; data.count < film.rows.length; data.count += 1) {
    const [busy, stat, states, failing, flows] = film.rows[data.count].slice(10);
    data.nodes.forEach((_, index) => {
      data.busy[index].push(busy[index]);
      data.stat[index].push(stat[index]);
      data.states[index].push(states[index]);
      data.failing[index].push(failing[index] ?? 0);
    });
    flows.forEach((rate, index) => {
      news ||= rate > 0 && !data.used?.has(index);
      if (rate > 0) (data.used ??= new Set()).add(index);
      data.rate[index].push(rate);
    });
  }
  return news;
}

// ---------------------------------------------------------------- asking

function act(view, what) {
  habits.number = Math.max(habits.number + 1, Date.now());
  view.film.acts.push({ number: habits.number, run: view.film.run, ...what });
  if (what.do === 'inject' || what.do === 'branch') goTo(view, view.edge);
  ask(view);
}

function ask(view) {
  const { film } = view;
  const step = film.playing ? habits.speed * (lead(view) + FETCH) : 0;
  const until = Math.max(film.wanted ?? 0, film.moment + step);
  view.asked = performance.now();
  view.send('ask', {
    run: film.run,
    rows: film.rows.length,
    events: film.events.length,
    still: Boolean(film.still),
    rival: film.rival?.id ?? '',
    rivalRows: film.rival?.rows.length ?? 0,
    until: Math.round(until * 1000) / 1000,
    acts: film.acts,
    number: (view.numbers = (view.numbers ?? 0) + 1),
  });
}

// What is done by hand takes effect where the server is: as little ahead as answers allow.
function lead(view) {
  return Math.max(LEAD.least, Math.min(LEAD.most, 0.25 + 1.4 * (view.took ?? 0.2)));
}

function askIfNeeded(view) {
  const { film } = view;
  if (document.hidden || !view.send) return;
  if (view.asked && performance.now() - view.asked < LATE_MS) return;
  const ready = film.rows.length * film.frame - film.moment;
  const soon = film.playing && !film.over && ready < habits.speed * lead(view) + film.frame;
  const behind = film.rival && film.rival.rows.length < film.rows.length;
  const stepping = (film.wanted ?? 0) > film.now + 1e-6 && !film.over;
  const writing = film.writing && performance.now() - view.answered > POLL_MS;
  if (!film.still || film.acts.length || soon || behind || stepping || writing) ask(view);
}

