// The tables of a scenario.  Every change is sent as an edit of the text; the answer redraws all.
// Names, titles and values come from people's files: they are set as text, never as HTML.

const views = new WeakMap();
// What is unfolded and chosen; it outlives the element, which Streamlit may mount anew.
const shown = { tab: 'journey', journey: null, open: new Set() };

function add(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const AGAIN_MS = 1000; // after which an edit that was not heard is sent again
const keyOf = (path) => path.join('/');

// ---------------------------------------------------------------- sending

// Edits wait in a line until the server has said that it has seen them: none is lost or done twice.
function send(view, edit) {
  view.count += 1;
  view.waiting.push({ ...edit, n: view.count });
  if (edit.op !== 'set') view.root.setAttribute('aria-busy', 'true'); // paths are about to change
  tell(view);
}

function tell(view) {
  view.setTriggerValue('edits', { mount: view.mount, stamp: view.data.stamp, edits: view.waiting });
}

// ---------------------------------------------------------------- inputs

function labelled(input, view, row, field) {
  input.dataset.key = `${keyOf(row.path)}:${field.name}`;
  input.setAttribute('aria-label', `${field.title} of ${row.name ?? row.title ?? row.do}`);
  if (field.help) input.title = field.help;
  input.disabled = view.locked;
  return input;
}

function drawChoice(parent, field, row, view, options) {
  const select = labelled(add(parent, 'select'), view, row, field);
  const value = row.values[field.name];
  for (const option of value === '' ? ['', ...options] : options) {
    const element = add(select, 'option', '', option === '' ? '–' : option);
    element.value = option;
  }
  select.value = value;
  select.onchange = () => set(view, row, field, select.value);
}

function drawNames(parent, field, row, view, options) {
  const chosen = row.values[field.name];
  const box = add(parent, 'span', 'names');
  for (const option of options) {
    const label = add(box, 'label');
    const input = labelled(add(label, 'input'), view, row, field);
    input.type = 'checkbox';
    input.dataset.key += `:${option}`;
    input.setAttribute('aria-label', `${field.title}: ${option}`);
    input.checked = chosen.includes(option);
    input.onchange = () => {
      const now = options.filter((each) => (each === option ? input.checked : chosen.includes(each)));
      set(view, row, field, now);
    };
    add(label, 'span', '', option);
  }
}

function drawBool(parent, field, row, view) {
  const input = labelled(add(parent, 'input'), view, row, field);
  input.type = 'checkbox';
  input.checked = row.values[field.name];
  input.onchange = () => set(view, row, field, input.checked);
}

function drawLine(parent, field, row, view) {
  const input = labelled(add(parent, 'input'), view, row, field);
  input.value = row.values[field.name];
  input.spellcheck = false;
  input.placeholder = '–';
  if (field.kind === 'number') input.inputMode = 'decimal';
  if (field.kind === 'value') input.classList.add('code');
  if (field.time) input.setAttribute('list', 'strata-times');
  whenLeft(view, input, () => set(view, row, field, input.value));
}

// Take a text over when the keyboard leaves it or says Enter; Escape brings the old one back.
function whenLeft(view, input, take) {
  input.dataset.was = input.value;
  input.onblur = () => {
    if (!view.drawing && input.value !== input.dataset.was) take();
  };
  input.onkeydown = (event) => {
    if (event.key === 'Escape') input.value = input.dataset.was;
    if (event.key === 'Enter') input.blur();
  };
}

function drawInput(parent, field, row, view) {
  const names = view.data.names[field.of] ?? [];
  if (field.kind === 'bool') drawBool(parent, field, row, view);
  else if (field.kind === 'names') drawNames(parent, field, row, view, names);
  else if (field.kind === 'name') drawChoice(parent, field, row, view, names);
  else if (field.kind === 'choice') drawChoice(parent, field, row, view, field.choices);
  else drawLine(parent, field, row, view);
}

function set(view, row, field, value) {
  if (String(value) === String(row.values[field.name])) return;
  send(view, { op: 'set', path: [...row.path, field.name], kind: field.kind, value });
}

// ---------------------------------------------------------------- rows

function button(parent, text, title, onclick, key, disabled = false) {
  const element = add(parent, 'button', '', text);
  element.type = 'button';
  element.title = title;
  element.setAttribute('aria-label', title);
  element.disabled = disabled;
  if (key) element.dataset.key = key;
  element.onclick = onclick;
  return element;
}

function drawTwig(parent, view, row, what) {
  const key = keyOf(row.path);
  const open = shown.open.has(key);
  const twig = button(parent, open ? '▾' : '▸', `All fields of ${what}`, () => {
    if (!shown.open.delete(key)) shown.open.add(key);
    draw(view);
  }, `${key}:twig`);
  twig.className = 'twig';
  twig.setAttribute('aria-expanded', String(open));
}

function point(element, row) {
  element.addEventListener('focusin', () => {
    window.dispatchEvent(new CustomEvent('strata-line', { detail: row.line }));
  });
}

function quickFields(view, row) {
  return row.quick.map((name) => view.data.forms[row.form].find((field) => field.name === name));
}

// The fields that the row does not show anyway.
function drawForm(parent, view, row) {
  if (!shown.open.has(keyOf(row.path))) return;
  const fields = view.data.forms[row.form].filter((field) => !row.quick.includes(field.name));
  const form = add(parent, 'div', 'form');
  point(form, row);
  if (!fields.length) add(form, 'span', 'note', 'Nothing else to set here.');
  for (const field of fields) {
    const label = add(form, 'label', field.kind);
    const title = add(label, 'span', 'title', field.title);
    if (field.unit) add(title, 'i', '', ` ${field.unit}`);
    title.title = field.help;
    drawInput(label, field, row, view);
  }
}

function drawEntry(parent, view, tab, row) {
  const chosen = tab.id === 'journey' && row.name === shown.journey;
  const line = add(parent, 'div', `row entry ${tab.id}${chosen ? ' chosen' : ''}`);
  line.dataset.path = row.path.join('.');
  point(line, row);
  drawTwig(line, view, row, row.name);
  const name = add(line, 'input', 'code');
  name.value = row.name;
  name.spellcheck = false;
  name.disabled = view.locked;
  name.dataset.key = `${keyOf(row.path)}:`;
  name.setAttribute('aria-label', `Name of ${row.name}`);
  name.title = 'Its name in steps and in the text; renaming it renames it everywhere';
  whenLeft(view, name, () => {
    if (chosen) shown.journey = name.value.trim();
    send(view, { op: 'rename', path: row.path, name: name.value });
  });
  for (const field of quickFields(view, row)) drawInput(line, field, row, view);
  const acts = add(line, 'span', 'acts');
  if (tab.id === 'journey') {
    const show = button(acts, 'steps', `Steps of ${row.name}`, () => choose(view, row.name), `${keyOf(row.path)}:steps`);
    show.setAttribute('aria-pressed', String(chosen));
  }
  button(acts, '✕', `Remove ${row.name}`, () => send(view, { op: 'remove', path: row.path }), `${keyOf(row.path)}:remove`, view.locked);
  drawForm(parent, view, row);
}

function choose(view, journey) {
  shown.journey = journey;
  draw(view);
  view.door.opened();
}

// How to write a time: as the engine's own examples say.
function drawTimes(parent, view) {
  const note = add(parent, 'p', 'note times', 'Times in ms: a plain number is always just that; or ');
  view.data.times.slice(1, 4).forEach((example, index) => {
    if (index) note.append(', ');
    add(note, 'code', '', example);
  });
  note.append(' … An empty field takes its default.');
}

function drawEntries(parent, view, tab) {
  const head = add(parent, 'div', `row entry ${tab.id} head`);
  for (const text of ['', 'Name']) add(head, 'span', '', text);
  for (const field of view.data.forms[tab.form].slice(0, 2)) {
    const title = add(head, 'span', '', field.title);
    title.title = field.help;
    if (field.unit) add(title, 'i', '', ` ${field.unit}`);
  }
  for (const row of tab.rows) drawEntry(parent, view, tab, row);
  if (view.data.forms[tab.form].some((field) => field.time)) drawTimes(parent, view);
  const last = add(parent, 'form', 'row new');
  const input = add(last, 'input', 'code');
  input.placeholder = `name of a new ${tab.one}`;
  input.setAttribute('aria-label', `Name of a new ${tab.one}`);
  input.dataset.key = `new:${tab.id}`;
  input.spellcheck = false;
  input.disabled = view.locked;
  const ok = button(last, `+ Add ${tab.one}`, `Add a ${tab.one}`, null, `add:${tab.id}`, view.locked);
  ok.type = 'submit';
  last.onsubmit = (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return input.focus();
    if (tab.id === 'journey') shown.journey = name;
    input.value = '';
    send(view, { op: 'add', path: tab.path, name });
    return undefined;
  };
}

// ---------------------------------------------------------------- steps

function drawAdder(parent, view, path, text, title) {
  const select = add(parent, 'select', 'adder');
  select.setAttribute('aria-label', title);
  select.title = title;
  select.disabled = view.locked;
  select.dataset.key = `${keyOf(path)}:adder`;
  const first = add(select, 'option', '', text);
  first.value = '';
  for (const [kind, { help }] of Object.entries(view.data.steps)) {
    const option = add(select, 'option', '', `${kind}: ${help}`);
    option.value = kind;
  }
  select.onchange = () => {
    if (select.value) send(view, { op: 'add step', path, do: select.value });
    select.value = '';
  };
}

function drawStep(parent, view, row) {
  const line = add(parent, 'div', 'row step');
  line.dataset.path = row.path.join('.');
  line.style.paddingLeft = `${row.depth * 18}px`;
  point(line, row);
  drawTwig(line, view, row, row.do);
  const chip = add(line, 'b', 'chip', row.do);
  chip.title = view.data.steps[row.do].help;
  for (const field of quickFields(view, row)) drawInput(line, field, row, view);
  const acts = add(line, 'span', 'acts');
  const key = keyOf(row.path);
  const move = (sign, to, title) =>
    button(acts, sign, title, () => send(view, { op: 'move', path: row.path, to }), `${key}:${to}`, view.locked || !row[to]);
  for (const field of row.holds) {
    drawAdder(acts, view, [...row.path, field], '+', `Add a step inside this ${row.do}`);
  }
  move('↑', 'up', 'Move up');
  move('↓', 'down', 'Move down');
  move('←', 'out', 'Move out, behind the step around it');
  move('→', 'in', 'Move into the step above');
  button(acts, '✕', `Remove this ${row.do}`, () => send(view, { op: 'remove', path: row.path }), `${key}:remove`, view.locked);
  drawForm(parent, view, row);
}

function drawJourney(parent, view, tab) {
  const journey = tab.rows.find((row) => row.name === shown.journey) ?? tab.rows[0];
  if (!journey) return;
  const title = journey.values.title || journey.name;
  add(parent, 'h4', '', `Steps of “${title}”`);
  add(parent, 'p', 'note', 'A request does these one after the other; what is set in happens inside the step above it.');
  const list = add(parent, 'div', 'steps');
  for (const row of journey.steps) drawStep(list, view, row);
  drawAdder(parent, view, [...journey.path, 'steps'], '+ Add a step at the end …', `Add a step to ${journey.name}`);
}

// ---------------------------------------------------------------- settings

function drawSettings(parent, view, tab) {
  for (const row of tab.rows) {
    const line = add(parent, 'div', 'row setting');
    line.style.paddingLeft = `${row.depth * 18}px`;
    line.dataset.path = row.path.join('.');
    drawTwig(line, view, row, row.title);
    add(line, 'b', '', row.title);
    add(line, 'span', 'note', row.help);
    drawForm(parent, view, row);
  }
}

// ---------------------------------------------------------------- the whole

function draw(view) {
  const { root, data } = view;
  const held = remembered(root);
  const tab = data.tabs.find((each) => each.id === shown.tab) ?? data.tabs[0];
  const journeys = data.tabs[0].rows.map((row) => row.name);
  if (!view.locked && !view.waiting.length && !journeys.includes(shown.journey)) [shown.journey] = journeys;
  view.drawing = true;
  root.replaceChildren();
  const bar = add(root, 'div', 'tabs');
  bar.setAttribute('role', 'tablist');
  for (const each of data.tabs) {
    const element = button(bar, each.title, each.title, () => {
      shown.tab = each.id;
      draw(view);
    }, `tab:${each.id}`);
    element.setAttribute('role', 'tab');
    element.setAttribute('aria-selected', String(each === tab));
    if (each.path) add(element, 'i', '', each.rows.length);
  }
  if (data.problem) {
    const told = add(root, 'p', 'problem', `✕ ${data.problem}`);
    told.setAttribute('role', 'alert');
  }
  if (data.locked) add(root, 'p', 'locked', data.locked);
  const times = add(root, 'datalist');
  times.id = 'strata-times';
  for (const example of data.times) add(times, 'option').value = example;
  const body = add(root, 'div', 'body');
  if (tab.id === 'settings') drawSettings(body, view, tab);
  else drawEntries(body, view, tab);
  if (tab.id === 'journey') drawJourney(body, view, tab);
  restore(root, held);
  view.drawing = false;
}

// Where the keyboard was, and what was being typed there.
function remembered(root) {
  const active = root.getRootNode().activeElement;
  if (!active?.dataset?.key) return { scroll: root.querySelector('.body')?.scrollTop ?? 0 };
  return {
    scroll: root.querySelector('.body')?.scrollTop ?? 0,
    key: active.dataset.key,
    value: active.value,
    was: active.dataset.was,
    from: active.selectionStart,
    to: active.selectionEnd,
  };
}

function restore(root, held) {
  root.querySelector('.body').scrollTop = held.scroll;
  if (!held.key) return;
  const element = [...root.querySelectorAll('[data-key]')].find((each) => each.dataset.key === held.key);
  if (!element) return;
  element.focus({ preventScroll: true });
  if (element.tagName === 'INPUT' && element.type !== 'checkbox' && held.from !== null) {
    if (held.was !== undefined && held.value !== held.was) element.value = held.value;
    element.setSelectionRange(held.from, held.to);
  }
}

// Called by Streamlit on mount and again whenever the data change.
export default function tables({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.tables');
  const view = views.get(parentElement) ?? {
    mount: Math.random().toString(36).slice(2),
    count: 0,
    waiting: [],
  };
  const seen = data.mount === view.mount ? data.done : 0;
  view.waiting = view.waiting.filter((edit) => edit.n > seen);
  view.door ??= door(() => view.waiting.length > 0);
  Object.assign(view, { root, data, setTriggerValue, locked: Boolean(data.locked) });
  views.set(parentElement, view);
  root.dataset.version = data.version;
  if (!view.waiting.length) root.removeAttribute('aria-busy');
  clearTimeout(view.again);
  if (view.waiting.length) view.again = setTimeout(() => tell(view), AGAIN_MS);
  draw(view);
  view.door.opened();
  return () => {
    if (parentElement.isConnected) return; // a call that was overtaken while its module loaded
    clearTimeout(view.again);
    view.door.remove();
    views.delete(parentElement);
  };
}
