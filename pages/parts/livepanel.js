// Beside the map: what one can break, what one can ask, what came of it, and the log.

const MARKS = {
  fault: { glyph: '✕', colour: '--bad', word: 'fault' },
  fault_over: { glyph: '○', colour: '--muted', word: 'fault over' },
  change: { glyph: '◆', colour: '--st-primary-color', word: 'change' },
  alert: { glyph: '!', colour: '--warn', word: 'alert' },
  alert_resolved: { glyph: '✓', colour: '--answered', word: 'alert resolved' },
  scale: { glyph: '↕', colour: '--layer-application', word: 'scaling' },
  server_down: { glyph: '▼', colour: '--warn', word: 'server down' },
  server_up: { glyph: '▲', colour: '--answered', word: 'server up' },
  ejection: { glyph: '▼', colour: '--warn', word: 'server out' },
  failover: { glyph: '⇄', colour: '--layer-asynchronous', word: 'failover' },
  promotion: { glyph: '⇑', colour: '--layer-data', word: 'promotion' },
  outage: { glyph: '▼', colour: '--warn', word: 'outage' },
  breakdown: { glyph: '▼', colour: '--warn', word: 'breakdown' },
  repair: { glyph: '▲', colour: '--answered', word: 'repair' },
  crash: { glyph: '▼', colour: '--warn', word: 'crash' },
  loss: { glyph: '∅', colour: '--bad', word: 'loss' },
  redelivery: { glyph: '↻', colour: '--layer-asynchronous', word: 'redelivery' },
  panic: { glyph: '‼', colour: '--bad', word: 'panic' },
  throttle: { glyph: '↧', colour: '--warn', word: 'throttle' },
  region: { glyph: '◎', colour: '--warn', word: 'region' },
  deploy: { glyph: '◇', colour: '--st-primary-color', word: 'deploy' },
};
const QUIET = { glyph: '·', colour: '--muted', word: 'also' };
const LOG_MAX = 250; // lines on the screen

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, attributes);
  element.append(...children); // strings become text, never HTML
  return element;
}

// ---------------------------------------------------------------- tabs

function showTab(view, name) {
  view.tab = name;
  for (const tab of view.tabs) {
    const chosen = tab.dataset.tab === name;
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  for (const panel of view.panels) panel.hidden = panel.dataset.panel !== name;
  view.side.dataset.tab = name;
}

function listenToTabs(view) {
  view.tabs.forEach((tab, index) => {
    tab.onclick = () => showTab(view, tab.dataset.tab);
    tab.onkeydown = ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (!step) return;
      const next = view.tabs[(index + step + view.tabs.length) % view.tabs.length];
      showTab(view, next.dataset.tab);
      next.focus();
    };
  });
}

function panelOf(view, name) {
  return view.panels.find((panel) => panel.dataset.panel === name);
}

// ---------------------------------------------------------------- fields

// One field of a form: a number, a choice or a switch, with its unit and its limits.
function field(spec) {
  const label = make('label', { className: 'field', title: spec.help ?? '' });
  label.append(spec.unit ? `${spec.title}, ${spec.unit}` : spec.title);
  let input;
  if (spec.kind === 'bool') input = make('input', { type: 'checkbox', checked: Boolean(spec.value) });
  else if (spec.choices?.length) {
    input = make('select', {});
    for (const choice of spec.choices) {
      input.append(make('option', { value: choice, textContent: choice.replaceAll('_', ' ') }));
    }
    if (spec.value !== null && spec.value !== undefined) input.value = spec.value;
  } else {
    input = make('input', { type: 'number', value: spec.value ?? '', step: 'any' });
    if (spec.optional) input.placeholder = spec.path === 'length_seconds' ? 'to the end' : 'none';
    if (spec.low !== null && spec.low !== undefined) input.min = spec.low;
  }
  input.setAttribute('aria-label', spec.title);
  label.append(input);
  const read = () => {
    if (spec.kind === 'bool') return input.checked;
    if (spec.choices?.length) return input.value;
    if (input.value === '') return null;
    return Number(input.value);
  };
  return { label, read, input };
}

// ---------------------------------------------------------------- break it

function buildBreak(view) {
  const panel = panelOf(view, 'break');
  const { faults, layers } = view.film.still;
  panel.replaceChildren();
  if (!faults.length) {
    panel.append(make('p', { className: 'hint', textContent: 'Nothing here can be broken.' }));
    return;
  }
  const chips = make('div', { className: 'chips' });
  chips.setAttribute('role', 'group');
  chips.setAttribute('aria-label', 'Layer to break');
  const list = make('div', { className: 'faults' });
  const present = layers.map((_, index) => faults.some(({ layer }) => layer === index));
  if (faults.some(({ layer }) => layer < 0)) present[-1] = true;
  const open = (index) => {
    view.breaking = index;
    for (const chip of chips.children) {
      chip.setAttribute('aria-pressed', String(Number(chip.dataset.layer) === index));
    }
    list.replaceChildren(
      ...faults.filter(({ layer }) => layer === index).map((fault) => faultRow(view, fault, list)),
    );
  };
  [{ title: 'Network', name: 'client' }, ...layers].forEach((layer, place) => {
    const index = place - 1;
    if (!present[index]) return;
    const chip = make('button', { type: 'button', textContent: layer.title });
    chip.dataset.layer = index;
    chip.style.setProperty('--layer', `var(--layer-${layer.name})`);
    chip.onclick = () => open(index);
    chips.append(chip);
  });
  panel.append(chips, list);
  view.openLayer = (index) => present[index] && open(index);
  open(present[view.breaking] ? view.breaking : present[2] ? 2 : present.indexOf(true));
}

// What is broken at present, each with a button that mends it.  The server is a little ahead of what
// is shown: what has not been shown yet is said to come.
function showForces(view) {
  const told = view.film.forces.map(([title, since, until]) => {
    if (since > view.moment) return [title, `from ${minutes(since)} on`];
    return [title, until === null ? 'to the end' : `until ${minutes(until)}`];
  });
  const said = JSON.stringify(told);
  if (view.forces.dataset.said === said) return;
  view.forces.dataset.said = said;
  view.forces.replaceChildren(
    ...told.map(([title, when], index) => {
      const end = make('button', { type: 'button', textContent: 'End now' });
      end.setAttribute('aria-label', `End now: ${title}`);
      end.onclick = () => act(view, { do: 'mend', force: index });
      return make('div', {}, make('span', { textContent: `✕ ${title} ${when}` }), end);
    }),
  );
}

// A fault as a button that opens its form: what it does, for how long, how bad.
function faultRow(view, fault, list) {
  const row = make('div', { className: fault.whyNot ? 'fault cannot' : 'fault' });
  const head = make('button', { type: 'button', textContent: fault.title });
  head.setAttribute('aria-expanded', 'false');
  row.append(head);
  head.onclick = () => {
    const shut = head.getAttribute('aria-expanded') === 'true';
    for (const other of list.children) other.hidden = !shut && other !== row;
    head.setAttribute('aria-expanded', String(!shut));
    if (shut) row.querySelector('form').remove();
    else row.append(faultForm(view, fault));
  };
  return row;
}

function faultForm(view, fault) {
  const form = make('form', { noValidate: true });
  form.append(make('p', { textContent: fault.help }));
  if (fault.whyNot) {
    form.append(make('p', { className: 'why', textContent: `Not now: ${fault.whyNot}` }));
  }
  const part = view.selected?.split('.').at(-1);
  const fields = fault.fields.map((spec) => {
    const value = spec.choices?.includes(part) ? part : spec.value;
    return { spec, ...field({ ...spec, value }) };
  });
  form.append(...fields.map(({ label }) => label));
  form.append(make('button', { type: 'submit', className: 'strike', textContent: '✕ Break it now' }));
  form.onsubmit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries(
      fields.map(({ spec, read }) => [spec.path, read(), spec.optional])
        .filter(([, value, optional]) => optional || value !== null),
    );
    act(view, { do: 'inject', fault: { do: fault.do, ...values } });
  };
  return form;
}

// ---------------------------------------------------------------- what if

function buildWhatIf(view) {
  const panel = panelOf(view, 'whatif');
  const { knobs, layers } = view.film.still;
  panel.replaceChildren();
  const intro = 'Reruns it from the start with the same faults and one thing otherwise, '
    + 'and draws it dashed.';
  const choose = make('select', {});
  choose.setAttribute('aria-label', 'What to have otherwise');
  layers.forEach((layer, index) => {
    const group = make('optgroup', { label: layer.title });
    knobs.forEach((knob, number) => {
      if (knob.layer === index) group.append(make('option', { value: number, textContent: knob.title }));
    });
    if (group.childNodes.length) choose.append(group);
  });
  const place = make('div', { className: 'value' });
  const from = make('select', {});
  from.setAttribute('aria-label', 'From when');
  let value = null;
  const open = () => {
    const knob = knobs[Number(choose.value)];
    value = field({ ...knob, title: 'had been', unit: knob.unit });
    place.replaceChildren(value.label);
  };
  choose.onchange = open;
  const favourite = knobs.findIndex(({ path }) => path === 'application.replicas');
  choose.value = String(Math.max(0, favourite));
  open();
  from.append(make('option', { value: '0', textContent: 'from the start' }));
  const moment = make('option', { value: 'moment', textContent: 'from 0:00 on' });
  from.append(moment);
  const ask = make('button', { type: 'submit', className: 'go', textContent: 'Rerun and compare' });
  const drop = make('button', { type: 'button', className: 'drop', textContent: 'Remove the dashed lines' });
  const said = make('p', { className: 'said' });
  said.setAttribute('role', 'status');
  drop.onclick = () => act(view, { do: 'unbranch' });
  const hint = make('p', { className: 'hint', textContent: intro });
  const form = make('form', { noValidate: true });
  form.append(
    said,
    hint,
    make('label', { className: 'field' }, 'What if', choose),
    place,
    make('label', { className: 'field' }, 'when', from),
    make('div', { className: 'row' }, ask, drop),
  );
  form.onsubmit = (event) => {
    event.preventDefault();
    const knob = knobs[Number(choose.value)];
    const at = from.value === 'moment' ? Math.round(view.moment * 10) / 10 : 0;
    act(view, { do: 'branch', path: knob.path, value: value.read(), at });
  };
  panel.append(form);
  view.whatIf = { said, drop, hint, moment };
  tellWhatIf(view);
}

// What the dashed run has come to, in a sentence.
function tellWhatIf(view) {
  const { said, drop, hint } = view.whatIf;
  const { rival, rows } = view.film;
  drop.hidden = !rival;
  hint.hidden = Boolean(rival);
  if (!rival) {
    said.textContent = '';
    return;
  }
  const count = Math.min(rival.rows.length, rows.length);
  if (count < rows.length - 2 && count / rows.length < 0.97) {
    said.textContent = `Rerunning: ${Math.round((100 * count) / rows.length)} % …`;
    return;
  }
  const total = (all, of) => all.slice(0, count).reduce((sum, row) => sum + of(row), 0);
  const lost = (all) => (total(all, (row) => row[2]) * view.film.frame) / 10;
  const worst = (all) => Math.max(0, ...all.slice(0, count).map((row) => row[5] ?? 0)) / 10;
  const refused = rival.refused.map((line) => ` Refused there: ${line}.`).join('');
  said.textContent = `${rival.label}: ${short(lost(rival.rows))} requests failed instead of `
    + `${short(lost(rows))}; the worst P99 was ${NOW.ms(worst(rival.rows))} instead of `
    + `${NOW.ms(worst(rows))}.${refused}`;
}

// ---------------------------------------------------------------- afterwards

function buildAfter(view) {
  const { film } = view;
  const panel = panelOf(view, 'after');
  const said = JSON.stringify([film.run, film.over, film.stopped, film.report]);
  if (panel.dataset.said === said) return;
  panel.dataset.said = said;
  panel.replaceChildren();
  if (!film.over) {
    const text = 'When the run is over (■ End), this says what happened: what users felt, what set it off, '
      + 'who noticed, and what would have prevented it.';
    panel.append(make('p', { className: 'hint', textContent: text }));
    return;
  }
  if (film.stopped) panel.append(make('p', { className: 'why', textContent: film.stopped }));
  for (const [kind, text] of film.report) {
    const className = kind === 'wait' ? 'hint' : '';
    panel.append(make(kind === 'head' ? 'h4' : 'p', { className, textContent: text }));
  }
}

// ---------------------------------------------------------------- log

function buildLog(view) {
  const { log, film } = view;
  log.replaceChildren();
  view.logged = 0;
  const small = view.small.checked;
  film.entries = film.events.filter(({ quiet }) => small || !quiet);
}

function growLog(view) {
  const { log, film } = view;
  const { entries } = film;
  while (view.logged < entries.length && entries[view.logged].at <= view.edge) {
    const entry = entries[view.logged];
    view.logged += 1;
    const glyph = make('i', { textContent: entry.mark.glyph });
    glyph.style.color = `var(${entry.mark.colour})`;
    glyph.setAttribute('aria-label', entry.mark.word);
    const time = make('button', { type: 'button', textContent: minutes(entry.at), tabIndex: -1 });
    time.title = 'Go to this moment';
    time.onclick = () => review(view, entry.at);
    const item = make('li', { className: entry.quiet ? 'quiet' : '' }, time, glyph, entry.text);
    log.prepend(item);
    if (log.childNodes.length > LOG_MAX) log.lastChild.remove();
  }
  log.dataset.empty = film.entries.length ? '' : 'Nothing has happened yet.';
}

// What the map says of the part that was clicked, at the moment that is shown.
function tellPart(view) {
  const index = view.data.nodes.findIndex(({ id }) => id === view.selected);
  const text = view.nodes[index]?.label ?? '';
  if (view.about.textContent !== text) view.about.textContent = text;
}

function tellRefusals(view, told) {
  const text = told.join(' ');
  if (view.told.textContent !== text) view.told.textContent = text;
}
