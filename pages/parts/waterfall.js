// The waterfall: a tree of spans beside their bars on one time axis.
// Striped is waiting, solid is working, the line below a bar says that it is on the critical path.
// Titles, operations and tags come from people's files: they are set as text, never as HTML.

const views = new WeakMap();
const TICKS = 4;

function milliseconds(value) {
  if (value >= 9999.5) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 99.5 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1)} ms`;
}

function add(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// ---------------------------------------------------------------- the tree

// Spans in reading order with their depth; children of closed spans are left out.
function visibleRows({ data, closed }) {
  const children = new Map();
  for (const span of data.spans) {
    children.set(span.parent, [...(children.get(span.parent) ?? []), span]);
  }
  const rows = [];
  const visit = (span, depth) => {
    const inner = children.get(span.id) ?? [];
    rows.push({ span, depth, inner: inner.length });
    if (!closed.has(span.id)) inner.forEach((child) => visit(child, depth + 1));
  };
  const known = new Set(data.spans.map((span) => span.id));
  data.spans.filter((span) => !known.has(span.parent)).forEach((span) => visit(span, 0));
  return rows;
}

// ---------------------------------------------------------------- drawing

function draw(view) {
  const { root, data } = view;
  root.replaceChildren();
  drawHead(root, data);
  drawAxis(root, data);
  const tree = add(root, 'div', 'tree');
  tree.setAttribute('role', 'treegrid');
  tree.setAttribute('aria-label', data.heading);
  view.rows = visibleRows(view);
  for (const row of view.rows) drawRow(view, tree, row);
}

function drawHead(root, data) {
  const head = add(root, 'div', 'head');
  add(head, 'b', '', data.heading);
  add(head, 'span', '', milliseconds(data.latency));
  add(head, 'span', '', `${data.spans.length} spans`);
  if (data.failed) add(head, 'span', 'bad', `✕ failed: ${data.failed}`);
  else add(head, 'span', '', '✓ answered');
  const legend = add(head, 'span', 'legend');
  for (const [kind, word] of [
    ['working', 'working'],
    ['waiting', 'waiting in line'],
    ['critical', 'critical path'],
    ['background', 'after the reply'],
  ]) {
    add(legend, 'i', kind);
    add(legend, 'span', '', word);
  }
}

function drawAxis(root, data) {
  const axis = add(root, 'div', 'axis');
  add(axis, 'span', '', 'Part and what it does');
  const scale = add(axis, 'span', 'scale');
  for (let tick = 0; tick <= TICKS; tick += 1) {
    const mark = add(scale, 'i', '', milliseconds((data.whole * tick) / TICKS));
    mark.style.left = `${(100 * tick) / TICKS}%`;
  }
}

function drawRow(view, tree, { span, depth, inner }) {
  const row = add(tree, 'div', span.background ? 'row background' : 'row');
  row.setAttribute('role', 'row');
  row.setAttribute('aria-level', depth + 1);
  row.setAttribute('aria-label', sentence(span));
  if (inner) row.setAttribute('aria-expanded', String(!view.closed.has(span.id)));
  row.tabIndex = 0;
  row.dataset.id = span.id;
  row.style.setProperty('--layer', `var(--layer-${span.layer})`);
  drawName(view, row, span, depth, inner);
  drawBar(row, span, view.data);
  row.onclick = () => toggleTags(view, span.id);
  row.onkeydown = (event) => onKey(view, event, span);
  if (view.open.has(span.id)) drawTags(tree, span, depth);
}

function drawName(view, row, span, depth, inner) {
  const name = add(row, 'span', 'name');
  name.style.paddingLeft = `${8 + depth * 14}px`;
  const twig = add(name, 'i', 'twig', inner ? (view.closed.has(span.id) ? '▸' : '▾') : '');
  if (inner) {
    twig.onclick = (event) => {
      event.stopPropagation();
      toggleChildren(view, span.id);
    };
  }
  add(name, 'i', 'chip');
  add(name, 'b', '', span.title);
  add(name, 'em', '', span.operation);
  if (span.error) add(name, 'span', 'bad', '✕');
}

function drawBar(row, span, { whole, latency }) {
  const line = add(row, 'span', 'line');
  const part = (value) => `${(100 * value) / whole}%`;
  const bar = (className, start, length) => {
    const element = add(line, 'i', className);
    element.style.left = part(start);
    element.style.width = part(length);
  };
  if (whole > latency) add(line, 'i', 'reply').style.left = part(latency);
  if (span.wait > 0) bar('bar waiting', span.start, span.wait);
  const worked = span.error ? 'bar working error' : 'bar working';
  bar(worked, span.start + span.wait, span.duration - span.wait);
  if (span.critical) bar('critical', span.start, span.duration);
  const label = add(line, 'span', 'label', milliseconds(span.duration));
  label.style.left = part(span.start + span.duration);
}

function drawTags(tree, span, depth) {
  const tags = add(tree, 'dl', 'tags');
  tags.style.paddingLeft = `${30 + depth * 14}px`;
  const pairs = [
    ['starts after', milliseconds(span.start)],
    ['waits in line', milliseconds(span.wait)],
    ['works', milliseconds(span.duration - span.wait)],
    ...(span.error ? [['error', span.error]] : []),
    ...span.tags,
  ];
  for (const [name, value] of pairs) {
    const pair = add(tags, 'div');
    add(pair, 'dt', '', name);
    add(pair, 'dd', name === 'error' ? 'bad' : '', value);
  }
}

function sentence(span) {
  const wait = span.wait > 0 ? `, of which ${milliseconds(span.wait)} waiting` : '';
  const notes = [
    span.critical && 'on the critical path',
    span.background && 'after the reply',
    span.error && `error: ${span.error}`,
  ].filter(Boolean);
  const first = `${span.title}, ${span.operation}: ${milliseconds(span.duration)}${wait}`;
  return [first, ...notes].join(', ');
}

// ---------------------------------------------------------------- acting

function redraw(view, id) {
  draw(view);
  const row = [...view.root.querySelectorAll('.row')].find((each) => each.dataset.id === id);
  row?.focus({ preventScroll: true });
}

function toggle(set, id) {
  if (!set.delete(id)) set.add(id);
}

function toggleTags(view, id) {
  toggle(view.open, id);
  redraw(view, id);
}

function toggleChildren(view, id) {
  toggle(view.closed, id);
  redraw(view, id);
}

// The keys of a tree: up, down, left to close, right to open, Enter for the tags.
function onKey(view, event, span) {
  const place = view.rows.findIndex((row) => row.span.id === span.id);
  const focus = (row) => row && redraw(view, row.span.id);
  const isOpen = view.rows[place].inner > 0 && !view.closed.has(span.id);
  const actions = {
    Enter: () => toggleTags(view, span.id),
    ' ': () => toggleTags(view, span.id),
    ArrowDown: () => focus(view.rows[place + 1]),
    ArrowUp: () => focus(view.rows[place - 1]),
    ArrowLeft: () => isOpen && toggleChildren(view, span.id),
    ArrowRight: () => view.closed.has(span.id) && toggleChildren(view, span.id),
  };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

// Called by Streamlit on mount and again whenever the data change.
export default function waterfall({ data, parentElement }) {
  const root = parentElement.querySelector('.waterfall');
  const view = views.get(parentElement) ?? { closed: new Set(), open: new Set() };
  if (view.data?.request !== data.request) {
    view.closed.clear();
    view.open.clear();
  }
  Object.assign(view, { root, data });
  views.set(parentElement, view);
  draw(view);
}
