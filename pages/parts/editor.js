// A small editor of YAML: numbered lines, colours, and what is wrong beside its line.
//
// The text in the browser is the newest there is: an answer of the server replaces it only when its
// version has changed, that is when tables, undo or a file changed the text.

const views = new WeakMap();
const TYPED_MS = 300; // a pause in typing after which the server is asked
const AGAIN_MS = 1000; // after which what was not heard is sent again
const COLOURED_MAX = 3000; // lines; a longer text is shown without colours
const STORED = 'strata-scenario'; // what this tab remembers of an own scenario over a reload
const ON_ITS_WAY = 'strata-typed'; // what was typed and has not been answered yet
const INDENT = '  ';

// ---------------------------------------------------------------- drawing

function paintLine(pre, line) {
  const note = /(^|\s)#.*$/.exec(line);
  const body = note ? line.slice(0, note.index) : line;
  let from = 0;
  for (const found of body.matchAll(/([\w-]+)(:)(?=\s|$)/g)) {
    pre.append(body.slice(from, found.index));
    const key = document.createElement('span');
    key.className = 'key';
    key.textContent = found[1];
    pre.append(key);
    from = found.index + found[1].length;
  }
  pre.append(body.slice(from));
  if (note) {
    const remark = document.createElement('span');
    remark.className = 'note';
    remark.textContent = line.slice(note.index);
    pre.append(remark);
  }
}

function paint(view) {
  const { area, gutter, colours } = view;
  const lines = area.value.split('\n');
  const coloured = lines.length <= COLOURED_MAX;
  area.classList.toggle('plain', !coloured);
  const pre = document.createDocumentFragment();
  if (coloured) {
    for (const line of lines) {
      paintLine(pre, line);
      pre.append('\n');
    }
  }
  colours.replaceChildren(pre);
  const bad = view.data.problem ? view.data.problem[0] : 0;
  const numbers = lines.map((_, index) => `${index + 1}\n`);
  if (bad && bad <= lines.length) {
    const mark = document.createElement('span');
    mark.className = 'bad';
    mark.textContent = `✕ ${bad}`;
    const [before, after] = [numbers.slice(0, bad - 1), numbers.slice(bad)];
    gutter.replaceChildren(before.join(''), mark, `\n${after.join('')}`);
  } else {
    gutter.replaceChildren(numbers.join(''));
  }
  mark(view);
}

function lineHeight(view) {
  return parseFloat(getComputedStyle(view.area).lineHeight);
}

// Bands and the sentence stand where their lines are, wherever the text has been scrolled to.
function mark(view) {
  const { area, marks, data } = view;
  const [bad, sentence] = data.problem ?? [0, ''];
  const height = lineHeight(view);
  const top = (line) => parseFloat(getComputedStyle(area).paddingTop) + (line - 1) * height - area.scrollTop;
  const shown = document.createDocumentFragment();
  const put = (className, line) => {
    const element = document.createElement('div');
    element.className = className;
    element.style.top = `${top(line)}px`;
    shown.append(element);
    return element;
  };
  if (view.here && view.here !== bad) put('band here', view.here);
  if (bad) {
    put('band bad', bad);
    const told = put('told', bad);
    told.textContent = sentence;
    told.dataset.line = bad;
  }
  marks.replaceChildren(shown);
  placeBeside(view, bad);
  view.colours.scrollTop = area.scrollTop;
  view.colours.scrollLeft = area.scrollLeft;
  view.gutter.scrollTop = area.scrollTop;
}

// The sentence covers no part of its own line if it can stand to the right of it, else it goes below.
function placeBeside(view, bad) {
  const told = view.marks.querySelector('.told');
  if (!told) return;
  const text = view.area.value.split('\n')[bad - 1] ?? '';
  const letter = view.area.clientWidth ? measured(view) : 8;
  const end = 8 + text.length * letter - view.area.scrollLeft;
  const room = view.area.clientWidth - end - 24;
  if (room >= 180) told.style.maxWidth = `${Math.min(room, view.area.clientWidth * 0.75)}px`;
  else told.style.top = `${parseFloat(told.style.top) + lineHeight(view)}px`;
}

function measured(view) {
  const context = document.createElement('canvas').getContext('2d');
  const style = getComputedStyle(view.area);
  context.font = `${style.fontSize} ${style.fontFamily}`;
  return context.measureText('m').width;
}

function status(view) {
  const { data, root } = view;
  const line = root.querySelector('.status');
  const bad = data.problem;
  root.classList.toggle('wrong', Boolean(bad));
  line.classList.toggle('bad', Boolean(bad));
  if (!bad) line.textContent = `✓ ${data.words}`;
  else if (bad[0]) line.textContent = `✕ Line ${bad[0]}: ${bad[1]}`;
  else line.textContent = `✕ ${bad[1]}`;
  line.onclick = () => bad && bad[0] && goTo(view, bad[0], true);
}

function goTo(view, line, withCaret) {
  const { area } = view;
  view.here = line;
  const top = (line - 1) * lineHeight(view);
  if (top < area.scrollTop || top > area.scrollTop + area.clientHeight - 60) {
    area.scrollTop = Math.max(0, top - area.clientHeight / 3);
  }
  if (withCaret) {
    const at = area.value.split('\n').slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(at, at);
  }
  mark(view);
}

// ---------------------------------------------------------------- typing

function typed(view) {
  view.here = 0;
  view.unheard = true;
  paint(view);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => tell(view), TYPED_MS);
}

function tell(view, again = false) {
  clearTimeout(view.timer);
  view.timer = null;
  if (view.area.value === view.told && !again) return;
  view.told = view.area.value;
  view.count += 1;
  store(STORED, view.told);
  store(ON_ITS_WAY, view.told);
  view.setTriggerValue('typed', { n: view.count, stamp: view.data.stamp, text: view.told });
}

function ask(view, what) {
  store(ON_ITS_WAY, null);
  clearTimeout(view.timer);
  view.timer = null;
  view.count += 1;
  view.setTriggerValue('asked', { n: view.count, stamp: view.data.stamp, do: what, text: view.area.value });
}

// Set the chosen lines in by two spaces, or out.
function indent(view, out) {
  const { area } = view;
  const { selectionStart: from, selectionEnd: to, value } = area;
  if (from === to && !out) {
    area.setRangeText(INDENT, from, to, 'end');
  } else {
    const start = value.lastIndexOf('\n', from - 1) + 1;
    const lines = value.slice(start, to).split('\n');
    const changed = lines.map((line) => (out ? line.replace(/^ {1,2}/, '') : INDENT + line));
    area.setRangeText(changed.join('\n'), start, to, 'preserve');
  }
  typed(view);
}

// A new line begins where the last one did; two deeper after a colon.
function newLine(view) {
  const { area } = view;
  const line = area.value.slice(0, area.selectionStart).split('\n').pop();
  const margin = /^ *(- )?/.exec(line)[0].replace('-', ' ');
  const deeper = /:\s*(#.*)?$/.test(line) ? INDENT : '';
  area.setRangeText(`\n${margin}${deeper}`, area.selectionStart, area.selectionEnd, 'end');
  typed(view);
}

function onKey(view, event) {
  const command = (event.ctrlKey || event.metaKey) && !event.altKey;
  const key = event.key.toLowerCase();
  if (event.key === 'Escape') view.leaving = true;
  else if (event.key !== 'Tab' && event.key !== 'Shift') view.leaving = false;
  const actions = [
    [command && key === 'z' && !event.shiftKey, () => ask(view, 'undo')],
    [command && (key === 'y' || (key === 'z' && event.shiftKey)), () => ask(view, 'redo')],
    [event.key === 'Tab' && !view.leaving, () => indent(view, event.shiftKey)],
    [event.key === 'Enter' && !command && !event.isComposing, () => newLine(view)],
  ];
  const found = actions.find(([applies]) => applies);
  if (!found) return;
  event.preventDefault();
  found[1]();
}

// ---------------------------------------------------------------- after a reload

function store(name, text) {
  try {
    if (text === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, text);
  } catch {
    // A browser that keeps nothing: then a reload begins anew.
  }
}

function stored(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

// Who leaves the page within a moment of typing may have left before the server heard of it.
function typeAgain(view) {
  const text = stored(ON_ITS_WAY);
  if (text === null) return;
  view.area.value = text;
  typed(view);
}

// A reload begins a new session on the server; the tab still has the text, and offers it.
function offer(view) {
  const { data, root, area } = view;
  const bar = root.querySelector('.back');
  const text = data.begun || view.declined ? null : stored(STORED);
  bar.hidden = !text || text === area.value;
  if (bar.hidden) return;
  bar.replaceChildren();
  bar.append('Before the page was reloaded, you had a scenario of your own.');
  for (const [word, act] of [
    ['Bring it back', () => { area.value = text; paint(view); tell(view); }],
    ['Forget it', () => store(STORED, null)],
  ]) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = word;
    button.onclick = () => {
      view.declined = true;
      bar.hidden = true;
      act();
    };
    bar.append(button);
  }
}

// ---------------------------------------------------------------- the whole

function found(parentElement) {
  const root = parentElement.querySelector('.editor');
  const part = (name) => root.querySelector(name);
  return {
    root,
    area: part('textarea'),
    gutter: part('.gutter'),
    colours: part('.colours'),
    marks: part('.marks'),
    count: 0,
    here: 0,
    version: null,
    told: null,
  };
}

function listen(view) {
  const { area } = view;
  area.oninput = () => typed(view);
  area.onkeydown = (event) => onKey(view, event);
  area.onscroll = () => mark(view);
  area.onblur = () => {
    view.leaving = false;
    if (view.timer) tell(view);
  };
  view.onLine = (event) => event.detail && goTo(view, event.detail, false);
  window.addEventListener('strata-line', view.onLine);
  view.observer = new ResizeObserver(() => mark(view));
  view.observer.observe(area);
  view.door = door(() => view.unheard);
}

// Called by Streamlit on mount and again whenever the data change.
export default function editor({ data, parentElement, setTriggerValue }) {
  const fresh = !views.has(parentElement);
  const view = views.get(parentElement) ?? found(parentElement);
  views.set(parentElement, view);
  Object.assign(view, { data, setTriggerValue });
  if (fresh) listen(view);
  if (view.version !== data.version) {
    const { scrollTop, selectionStart } = view.area;
    view.area.value = data.text;
    view.told = data.text;
    view.version = data.version;
    view.here = 0;
    view.area.setSelectionRange(selectionStart, selectionStart);
    view.area.scrollTop = scrollTop;
    if (data.own) store(STORED, data.text);
  }
  if (data.text === stored(ON_ITS_WAY)) store(ON_ITS_WAY, null);
  if (data.text === view.area.value) view.unheard = false;
  view.door.opened();
  if (view.unheard && !view.timer) view.timer = setTimeout(() => tell(view, true), AGAIN_MS);
  view.root.dataset.version = data.version;
  paint(view);
  status(view);
  offer(view);
  if (fresh && data.begun) typeAgain(view);
  return () => {
    if (parentElement.isConnected) return; // a call that was overtaken while its module loaded
    if (view.timer) tell(view);
    window.removeEventListener('strata-line', view.onLine);
    view.observer.disconnect();
    view.door.remove();
    views.delete(parentElement);
  };
}
