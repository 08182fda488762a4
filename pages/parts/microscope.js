// The microscope: the browser keeps every moment it was sent and looks at one of them; the server is
// asked for the next.  An ask that is lost is asked again, and one that comes twice is done once.

const PLAY_MS = 900;
const LATE_MS = 6000;
const LONG_SECONDS = 301; // past the five minutes of the story's cache
const FILES = [
  ['otlp.json', 'Trace, OpenTelemetry', 'Spans as OTLP JSON: any collector takes it at /v1/traces.'],
  ['jaeger.json', 'Trace, Jaeger', 'The same spans for the Upload of Jaeger’s page.'],
  ['metrics.txt', 'Metrics', 'OpenMetrics text, as Prometheus scrapes it.'],
  ['logs.jsonl', 'Logs', 'A line of JSON for each step, with its trace.'],
];
const benches = new Map(); // what was seen of a bench outlives a re-mount
const views = new WeakMap();
const habits = { tab: 'stores' };

const ACTIONS = [
  {
    do: 'advance', title: 'Let time go by', button: 'Go on',
    look: 'Look at the cache: a key whose time to live is over is gone, and the next one to ask misses.',
  },
  {
    do: 'kill_worker', title: 'Kill a worker', button: 'Kill it',
    look: 'Do it while a worker has a message in hand. Look at the queue: the message stays pending and another worker gets it; then at “how often” below: is the customer charged twice?',
  },
  {
    do: 'crash_cache', title: 'Crash the cache', button: 'Crash it',
    look: 'Do it while the write buffer holds counts (view a product first). Look at which counts are lost, and that no order is.',
  },
  {
    do: 'promote', title: 'Promote a replica', button: 'Promote it',
    look: 'Do it right after a write. Look at the database: what the replica had not heard of yet is lost.',
  },
  {
    do: 'split_shard', title: 'Split the shard', button: 'Split',
    look: 'Do it when nobody is on the way. Look at the column “shard”: which rows have moved to the new one?',
  },
];

function benchOf(data) {
  const found = benches.get(data.bench);
  if (found && found.epoch === data.epoch) return found;
  benches.clear();
  const fresh = { id: data.bench, epoch: data.epoch, moments: [], stores: [], at: -1 };
  benches.set(data.bench, fresh);
  return fresh;
}

// Add what an answer brings; what does not join on is left out and asked for again.
function extend(bench, data) {
  const before = bench.moments.length;
  if (data.first <= before) {
    bench.moments.push(...data.moments.slice(before - data.first));
    data.stores.forEach((tables, index) => { bench.stores[data.firstStores + index] = tables; });
  }
  return bench.moments.length - before;
}

// ---------------------------------------------------------------- asking

function ask(view, what) {
  if (view.waiting) return;
  const { bench } = view;
  view.number = Math.max(view.number + 1, Date.now());
  const message = {
    bench: bench.id, epoch: bench.epoch, known: bench.moments.length, at: bench.at,
    number: view.number, ...what,
  };
  view.asked = performance.now();
  view.waiting = message;
  send(view);
  controls(view);
}

function send(view) {
  view.send('ask', view.waiting);
  clearTimeout(view.late);
  view.late = setTimeout(() => view.waiting && send(view), LATE_MS);
}

function hear(view, data) {
  const was = view.bench;
  view.bench = benchOf(data);
  const more = extend(view.bench, data);
  if (!view.map || was?.id !== data.bench) rebuild(view, data);
  view.data = data;
  const answered = view.waiting && data.heard >= view.waiting.number;
  if (answered) {
    view.root.dataset.took = Math.round(performance.now() - view.asked);
    clearTimeout(view.late);
    view.last = view.waiting.do;
    view.waiting = null;
    if (data.file) save(data.file);
  }
  const { bench } = view;
  if (was !== bench) bench.at = bench.moments.length - 1;
  else if (more) bench.at = bench.moments.length - (answered && view.last !== 'run' ? more : 1);
  if (answered || was !== bench) view.said = data.refused || data.told;
  view.root.dataset.heard = data.heard;
  show(view);
  if (answered && view.last === 'run' && data.busy && more && !data.refused) ask(view, { do: 'run' });
  if (answered && (data.refused || !data.busy)) hold(view, bench.at >= bench.moments.length - 1);
}

// ---------------------------------------------------------------- looking

function look(view, at) {
  const { bench } = view;
  view.said = '';
  bench.at = Math.max(0, Math.min(bench.moments.length - 1, at));
  show(view);
}

function step(view) {
  const { bench, data } = view;
  if (bench.at < bench.moments.length - 1) look(view, bench.at + 1);
  else if (data.busy) ask(view, { do: 'step' });
  else hold(view, true);
}

function hold(view, yes = true) {
  if (!yes || !view.playing) return;
  clearInterval(view.playing);
  view.playing = 0;
  controls(view);
}

function play(view) {
  if (view.playing) {
    hold(view);
    return;
  }
  view.playing = setInterval(() => step(view), PLAY_MS);
  step(view);
  controls(view);
}

function show(view) {
  const { bench, data } = view;
  const moment = bench.moments[bench.at];
  lightMap(view.map, bench.moments, bench.at);
  showMoment(view.now, moment);
  const before = bench.moments[bench.at - 1];
  if (moment) {
    showStores(view.panels.stores, bench.stores[moment.stores] ?? [], before && bench.stores[before.stores], moment.time);
  } else {
    view.panels.stores.replaceChildren(element('p', { class: 'hint', text: 'Every store is empty. After each step you see here what it has changed.' }));
  }
  showSteps(view);
  const back = bench.at < bench.moments.length - 1;
  view.words.textContent = view.said
    || (back ? 'You are looking back. Step goes on; anything else that you do here undoes what came after.' : standing(view));
  view.words.classList.toggle('refused', Boolean(view.said && data.refused));
  view.clock.textContent = clock(moment && back ? moment.time : data.now);
  showWorkers(view);
  showStand(view, data.stand);
  controls(view);
  view.root.dataset.at = bench.at;
}

function standing({ bench, data }) {
  if (!bench.moments.length) return 'Press Send, then Step.';
  const on = data.busy ? 'Step goes on.' : 'Nobody is on the way: send another request, or break something.';
  return `Step ${bench.at + 1}. ${on}`;
}

function showSteps(view) {
  const { bench, steps } = view;
  if (view.listed !== bench || steps.children.length > bench.moments.length) {
    steps.replaceChildren();
    view.listed = bench;
  }
  for (let at = steps.children.length; at < bench.moments.length; at += 1) {
    const moment = bench.moments[at];
    const item = element('li', { role: 'option', id: `step-${at}` },
      element('span', { class: 'time', text: clock(moment.time) }),
      element('span', { class: `glyph${moment.warned ? ' warned' : ''}`, text: moment.glyph }),
      element('span', { class: 'text', text: moment.head, title: `${moment.title}: ${moment.head}` }));
    item.classList.toggle('aside', moment.who.startsWith('message') || moment.who.startsWith('flush'));
    item.classList.toggle('begins', moment.glyph === '▶');
    item.onclick = () => look(view, at);
    steps.append(item);
  }
  [...steps.children].forEach((item, at) => {
    item.setAttribute('aria-selected', String(at === bench.at));
  });
  steps.setAttribute('aria-activedescendant', `step-${bench.at}`);
  const here = steps.children[bench.at];
  if (here) {
    const top = here.offsetTop - steps.offsetTop;
    if (top < steps.scrollTop + 20 || top > steps.scrollTop + steps.clientHeight - 44) {
      steps.scrollTop = top - steps.clientHeight / 2;
    }
  }
}

// ---------------------------------------------------------------- taken along, and stood on

function save({ name, text }) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function buildExport(view) {
  view.panels.export.replaceChildren(...FILES.map(([name, title, text]) => {
    const button = element('button', { type: 'button', text: name });
    button.onclick = () => ask(view, { do: 'export', name });
    return element('div', { class: 'action', 'data-file': name },
      element('h4', { text: title }), element('p', { text }), element('div', { class: 'choices' }, button));
  }));
}

// Only where REDIS_URL or DATABASE_URL names a server is there anything to choose.
function showStand(view, stand) {
  view.stand.hidden = !stand;
  if (!stand || view.stand.dataset.shown === JSON.stringify(stand)) return;
  view.stand.dataset.shown = JSON.stringify(stand);
  const choice = chooser('on', 'What the stores stand on', [['servers', 'on your servers'], ['embedded', 'on embedded parts']]);
  choice.value = stand.on;
  choice.onchange = () => ask(view, { do: 'stand', on: choice.value, at: null });
  const line = stand.trouble ? element('p', { class: 'late', text: stand.trouble }) : element('p', { text: stand.text });
  view.stand.replaceChildren(element('div', { class: 'choices' }, choice), line);
}

function controls(view) {
  const { bench, data, root } = view;
  const last = bench.at >= bench.moments.length - 1;
  const of = (name) => root.querySelector(`button.${name}`);
  of('first').disabled = bench.at <= 0;
  of('back').disabled = bench.at <= 0;
  of('step').disabled = last && !data.busy;
  of('run').disabled = last && !data.busy;
  of('play').disabled = last && !data.busy && !view.playing;
  of('play').textContent = view.playing ? '❚❚ Hold' : '▶ Play';
  of('restart').disabled = bench.moments.length === 0;
  root.classList.toggle('asking', Boolean(view.waiting));
}

// ---------------------------------------------------------------- what one can break

function buildActions(view, data) {
  const { still } = data;
  const shown = ACTIONS.filter(({ do: name }) => (
    name === 'advance'
    || (name === 'kill_worker' && still.kinds.length)
    || (name === 'crash_cache' && still.cache)
    || (name === 'promote' && still.replicas)
    || (name === 'split_shard' && still.data)));
  view.panels.break.replaceChildren(...shown.map((action) => {
    const row = element('div', { class: 'choices' });
    const fields = choices(view, action.do, data);
    const button = element('button', { type: 'button', text: action.button });
    button.onclick = () => {
      ask(view, { do: action.do, ...Object.fromEntries(fields.map((field) => [field.name, field.value])) });
      tab(view, 'stores');
    };
    row.append(...fields, button);
    return element('div', { class: 'action', 'data-do': action.do },
      element('h4', { text: action.title }), element('p', { text: action.look }), row);
  }));
}

function chooser(name, label, options) {
  const made = element('select', { name, 'aria-label': label });
  for (const [value, text] of options) made.append(element('option', { value, text }));
  return made;
}

function choices(view, name, { still }) {
  if (name === 'advance') {
    return [chooser('seconds', 'How long', [
      [0.05, '50 ms'], [1, '1 second'], [30, '30 seconds'], [61, '1 min 1 s'], [LONG_SECONDS, '5 min 1 s'], [3601, '1 h 1 s'],
    ])];
  }
  if (name === 'kill_worker') {
    view.workers = chooser('worker', 'Which worker', []);
    return [view.workers];
  }
  if (name === 'promote') {
    const replicas = Array.from({ length: still.replicas }, (_, each) => [each, `replica ${each + 1}`]);
    view.shards = chooser('shard', 'Of which shard', [[0, 'of shard 1']]);
    return [chooser('replica', 'Which replica', replicas), view.shards];
  }
  return [];
}

// Those who have a message in hand come first: killing an idle one shows nothing.
function showWorkers(view) {
  const { data, workers, shards } = view;
  if (workers) {
    const idle = data.still.kinds.map((kind) => `${kind}-1`).filter((each) => !data.workers.includes(each));
    const names = [...data.workers.map((each) => [each, `${each}: has a message in hand`]),
      ...idle.map((each) => [each, `${each}: idle`])];
    if (workers.dataset.names !== JSON.stringify(names)) {
      workers.dataset.names = JSON.stringify(names);
      workers.replaceChildren(...names.map(([value, text]) => element('option', { value, text })));
    }
  }
  if (shards && shards.children.length !== data.shards) {
    shards.replaceChildren(...Array.from({ length: data.shards }, (_, each) => (
      element('option', { value: each, text: `of shard ${each + 1}` }))));
  }
}

function tab(view, name) {
  habits.tab = name;
  for (const button of view.root.querySelectorAll('[role=tab]')) {
    button.setAttribute('aria-selected', String(button.dataset.tab === name));
  }
  for (const [each, panel] of Object.entries(view.panels)) panel.hidden = each !== name;
}

// ---------------------------------------------------------------- setting up

function rebuild(view, data) {
  const { still } = data;
  view.map = buildMap(view.svg, still);
  const chosen = view.journey.value;
  view.journey.replaceChildren(...still.journeys.map(({ name, title }) => (
    element('option', { value: name, text: title }))));
  if (still.journeys.some(({ name }) => name === chosen)) view.journey.value = chosen;
  const asked = () => still.journeys.find(({ name }) => name === view.journey.value);
  const follow = () => {
    view.about.value = asked()?.about ?? '';
    view.about.disabled = !asked()?.keyed;
  };
  view.journey.onchange = follow;
  follow();
  buildActions(view, data);
  buildExport(view);
  view.panels.limits.replaceChildren(
    ...(still.leftOut ? [element('p', { class: 'late', text: still.leftOut })] : []),
    element('p', { text: 'The microscope shows one request at a time with the Playground’s own random numbers: the same waits, hits and misses. It does not know:' }),
    element('ul', {}, ...still.notCovered.map((text) => element('li', { text }))));
  view.listed = null;
}

function setUp(root) {
  const find = (selector) => root.querySelector(selector);
  const view = {
    root, svg: find('.scopemap'), now: find('.now'), steps: find('.steps ol'), words: find('.words'),
    clock: find('.clock'), journey: find('.journey'), about: find('.about'), stand: find('.stand'), number: 0, playing: 0,
    panels: Object.fromEntries([...root.querySelectorAll('.panel')].map((each) => [each.dataset.panel, each])),
  };
  find('form').onsubmit = (event) => {
    event.preventDefault();
    ask(view, { do: 'request', journey: view.journey.value, about: view.about.disabled ? '' : view.about.value });
  };
  find('.first').onclick = () => look(view, 0);
  find('.back').onclick = () => look(view, view.bench.at - 1);
  find('.step').onclick = () => step(view);
  find('.play').onclick = () => play(view);
  find('.run').onclick = () => {
    if (view.data.busy) ask(view, { do: 'run', at: null });
    else look(view, view.bench.moments.length - 1);
  };
  find('.advance').textContent = '+ 5 min';
  find('.advance').title = 'Let five minutes and a second go by: past the time to live of the cache';
  find('.advance').onclick = () => ask(view, { do: 'advance', seconds: LONG_SECONDS });
  find('.restart').onclick = () => ask(view, { do: 'restart' });
  for (const button of root.querySelectorAll('[role=tab]')) {
    button.onclick = () => tab(view, button.dataset.tab);
  }
  root.onkeydown = (event) => {
    if (event.target.closest('input, select') || event.altKey || event.ctrlKey || event.metaKey) return;
    const moves = {
      ArrowRight: () => step(view), ArrowDown: () => step(view),
      ArrowLeft: () => look(view, view.bench.at - 1), ArrowUp: () => look(view, view.bench.at - 1),
      Home: () => look(view, 0), End: () => find('.run').click(),
    };
    if (!moves[event.key] || event.target.closest('.panel, .tabs, .now')) return;
    event.preventDefault();
    moves[event.key]();
  };
  view.sizes = new ResizeObserver(() => {
    if (!view.data || view.width === root.clientWidth) return;
    view.width = root.clientWidth;
    view.map = buildMap(view.svg, view.data.still);
    lightMap(view.map, view.bench.moments, view.bench.at);
  });
  view.sizes.observe(root);
  tab(view, habits.tab);
  return view;
}

export default function microscope({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.scope');
  if (!views.has(parentElement)) views.set(parentElement, setUp(root));
  const view = views.get(parentElement);
  view.send = setTriggerValue;
  const told = JSON.parse(new TextDecoder().decode(data));
  root.dataset.bench = told.bench;
  hear(view, told);
  return () => {
    if (parentElement.isConnected) return; // a call that was overtaken while its module loaded
    clearInterval(view.playing);
    clearTimeout(view.late);
    view.sizes.disconnect();
    views.delete(parentElement);
  };
}
