// The seven-layer map: boxes one can reach with Tab (SVG), connections (SVG below them) and the
// traffic as moving dots (a canvas between the two).  `player.js` follows in the same module; it
// says which frame of the run to show.

const SVG = 'http://www.w3.org/2000/svg';
const STATES = {
  o: { glyph: '✓', word: 'fine' },
  w: { glyph: '!', word: 'under strain' },
  b: { glyph: '✕', word: 'overloaded or failing' },
  x: { glyph: '–', word: 'off' },
};
const NARROW = 640; // pixels; below, layers lie on top of one another
const WIDE_HEIGHT = 326; // of the whole map, so that charts stay on the first screen
const BOX = { height: 44, gap: 9, inset: 6 };
const STRIP = 38; // height of the observability layer under the others
const HEAD = 19; // height of a layer's name
const SAMPLES = 32; // points kept of each connection, for the dots to follow
const DOTS_MAX = 26; // on one connection

function draw(tag, attributes, parent) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

function write(parent, text, attributes) {
  const element = draw('text', attributes, parent);
  element.textContent = text; // never innerHTML: titles come from people's files
  return element;
}

// ---------------------------------------------------------------- geometry

// Where everything goes.  Bands belong to layers, boxes to nodes, by index.
function arrange(data, width) {
  return width < NARROW ? arrangeNarrow(data, width) : arrangeWide(data, width);
}

function nodesOf(data, layer) {
  const all = data.nodes.map((node, index) => ({ node, index }));
  return all.filter(({ node }) => node.layer === layer);
}

// Six columns, and the layer that watches them all as a strip below.
function arrangeWide(data, width) {
  const last = data.layers.length - 1;
  const columns = data.layers.slice(0, last).map((_, layer) => nodesOf(data, layer));
  const most = Math.max(...columns.map((column) => column.length));
  const height = Math.max(WIDE_HEIGHT, HEAD + most * (34 + BOX.gap) + STRIP + 18);
  const floor = height - STRIP - 8; // where columns end
  const pitch = (width + BOX.inset) / columns.length;
  const rowHeight = Math.min(78, (floor - HEAD - 4) / most);
  const boxHeight = Math.min(BOX.height, rowHeight - BOX.gap);
  const bands = [];
  const boxes = [];
  columns.forEach((column, layer) => {
    const x = layer * pitch;
    bands[layer] = { x, y: 0, width: pitch - BOX.inset, height: floor };
    const top = HEAD + (floor - HEAD - 4 - column.length * rowHeight) / 2;
    column.forEach(({ index }, row) => {
      const y = top + row * rowHeight + (rowHeight - boxHeight) / 2;
      boxes[index] = { x: x + 7, y, width: pitch - BOX.inset - 14, height: boxHeight };
    });
  });
  bands[last] = { x: 0, y: height - STRIP, width, height: STRIP };
  const watchers = nodesOf(data, last);
  watchers.forEach(({ index }, place) => {
    const room = (width - 120) / watchers.length;
    const boxWidth = Math.min(190, room - 12);
    const x = 120 + place * room + (room - boxWidth) / 2;
    boxes[index] = { x, y: height - STRIP + 6, width: boxWidth, height: STRIP - 12, flat: true };
  });
  return { narrow: false, width, height, bands, boxes };
}

// Layer under layer, boxes two or three in a row: for a phone, without sideways scrolling.
function arrangeNarrow(data, width) {
  const perRow = width >= 480 ? 3 : 2;
  const boxWidth = (width - 10 - (perRow - 1) * 8) / perRow;
  const bands = [];
  const boxes = [];
  let y = 0;
  data.layers.forEach((_, layer) => {
    const nodes = nodesOf(data, layer);
    const rows = Math.max(1, Math.ceil(nodes.length / perRow));
    const rowHeight = BOX.height + 16;
    bands[layer] = { x: 0, y, width, height: HEAD + rows * rowHeight };
    nodes.forEach(({ index }, place) => {
      const inRow = Math.min(perRow, nodes.length - Math.floor(place / perRow) * perRow);
      const start = (width - inRow * boxWidth - (inRow - 1) * 8) / 2;
      boxes[index] = {
        x: start + (place % perRow) * (boxWidth + 8),
        y: y + HEAD + 4 + Math.floor(place / perRow) * rowHeight,
        width: boxWidth,
        height: BOX.height,
      };
    });
    y += HEAD + rows * rowHeight + 10;
  });
  return { narrow: true, width, height: y, bands, boxes };
}

// A connection's curve as the four points of a cubic Bézier: along the reading direction from side
// to side, around the corner within a column, down to the observability strip for telemetry.
function route(from, to, place, telemetry) {
  const a = { x: from.x + from.width / 2, y: from.y + from.height / 2 };
  const b = { x: to.x + to.width / 2, y: to.y + to.height / 2 };
  if (place.narrow) {
    const half = (a.y + b.y) / 2;
    return [a, { x: a.x, y: half }, { x: b.x, y: half }, b];
  }
  if (telemetry) {
    const start = { x: a.x, y: from.y + from.height };
    return [start, { x: a.x, y: to.y - 30 }, { x: b.x, y: to.y - 40 }, { x: b.x, y: to.y }];
  }
  if (Math.abs(a.x - b.x) < 5) {
    // There is no room on the right of the last column.
    const isLast = from.x + from.width > place.width - 20;
    const side = isLast ? from.x : from.x + from.width;
    const bulge = side + (isLast ? -1 : 1) * (10 + Math.min(10, Math.abs(b.y - a.y) / 20));
    return [{ x: side, y: a.y }, { x: bulge, y: a.y }, { x: bulge, y: b.y }, { x: side, y: b.y }];
  }
  const ahead = b.x > a.x;
  const start = ahead ? from.x + from.width : from.x;
  const end = ahead ? to.x : to.x + to.width;
  const bend = (start + end) / 2;
  return [{ x: start, y: a.y }, { x: bend, y: a.y }, { x: bend, y: b.y }, { x: end, y: b.y }];
}

// Points along a cubic Bézier.  Asking the path itself (getPointAtLength) takes 30 ms a map.
function sample([a, b, c, d]) {
  const blend = (t, axis) => {
    const rest = 1 - t;
    const ends = rest ** 3 * a[axis] + t ** 3 * d[axis];
    return ends + 3 * rest * t * (rest * b[axis] + t * c[axis]);
  };
  return Array.from({ length: SAMPLES + 1 }, (_, step) => {
    const t = step / SAMPLES;
    return { x: blend(t, 'x'), y: blend(t, 'y') };
  });
}

function lengthOf(points) {
  let length = 0;
  for (let at = 1; at < points.length; at += 1) {
    length += Math.hypot(points[at].x - points[at - 1].x, points[at].y - points[at - 1].y);
  }
  return length;
}

// ---------------------------------------------------------------- building

// Draw everything that stays for a whole run.  What moves is kept in `view.nodes` and `view.edges`.
function build(view) {
  const { data, map } = view;
  view.place = (view.arrange ?? arrange)(data, Math.max(280, map.clientWidth));
  const { width, height } = view.place;
  map.style.height = `${height}px`;
  for (const svg of [view.below, view.above]) {
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  }
  const density = Math.min(2, window.devicePixelRatio || 1);
  view.canvas.width = width * density;
  view.canvas.height = height * density;
  view.pen.setTransform(density, 0, 0, density, 0, 0);
  view.bands = data.layers.map((layer, index) => buildBand(view, layer, view.place.bands[index]));
  view.edges = data.edges.map((edge) => buildEdge(view, edge));
  view.nodes = data.nodes.map((node, index) => buildNode(view, node, view.place.boxes[index]));
  view.frame = -1;
}

function buildBand(view, layer, band) {
  const { x, y, width } = band;
  const style = `--layer: var(--layer-${layer.name})`;
  const group = draw('g', { class: 'band', style }, view.below);
  draw('rect', { class: 'ground', ...band, rx: 6 }, group);
  draw('rect', { class: 'seam', x, y, width, height: 2.5, rx: 1.25 }, group);
  const title = write(group, layer.title, { class: 'layer', x: x + 8, y: y + 15 });
  return { group, title };
}

function buildEdge(view, [source, target, telemetry]) {
  const { boxes } = view.place;
  const curve = route(boxes[source], boxes[target], view.place, telemetry);
  const [start, ...rest] = curve.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`);
  const kind = telemetry ? 'edge telemetry' : 'edge';
  const path = draw('path', { class: kind, d: `M${start} C${rest.join(' ')}` }, view.below);
  const points = sample(curve);
  const traffic = { dots: [], owed: Math.random(), rate: 0, failing: 0 };
  return { path, points, length: lengthOf(points), telemetry, ...traffic };
}

function buildNode(view, node, box) {
  const layer = view.data.layers[node.layer].name;
  const group = draw('g', {
    class: box.flat ? 'node flat' : 'node',
    style: `--layer: var(--layer-${layer})`,
    tabindex: 0,
    role: 'button',
    transform: `translate(${box.x},${box.y})`,
    'data-id': node.id,
  }, view.above);
  const { width, height } = box;
  const full = draw('title', {}, group);
  draw('rect', { class: 'box', width, height, rx: 5 }, group);
  draw('rect', { class: 'spine', x: 0, y: 4, width: 3, height: height - 8, rx: 1.5 }, group);
  fit(write(group, node.title, { class: 'title', x: 9, y: box.flat ? 17 : 14 }), width - 17);
  const disc = draw('circle', { class: 'disc', cx: width - 3, cy: 2, r: 7 }, group);
  const glyph = write(group, '', { class: 'glyph', x: width - 3, y: 5.6 });
  const parts = { group, full, disc, glyph };
  if (!box.flat) {
    parts.stat = write(group, '', { class: 'stat', x: 9, y: 26.5 });
    if (node.serves) {
      parts.busy = write(group, '', { class: 'stat busy', x: width - 7, y: 26.5 });
      parts.copies = write(group, '', { class: 'stat copies', x: width - 7, y: height - 3.5 });
      const track = { x: 9, y: height - 9, width: width - 38, height: 4, rx: 2 };
      draw('rect', { class: 'groove', ...track }, group);
      parts.bar = draw('rect', { class: 'bar', ...track }, group);
    }
  }
  parts.badge = buildBadge(group, width);
  group.onclick = () => pick(view, node.id);
  group.onkeydown = (event) => {
    if (event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    pick(view, node.id);
  };
  return parts;
}

function buildBadge(parent, width) {
  const group = draw('g', { class: 'badge' }, parent);
  draw('rect', { x: width - 43, y: -8, width: 29, height: 11, rx: 5.5 }, group);
  write(group, 'SPOF', { x: width - 28.5, y: 0.3 });
  return group;
}

// Set a title smaller, and at last shorten it, until it fits; its tooltip has the whole of it.
function fit(text, room) {
  const whole = text.textContent;
  for (let size = 11.5; size >= 10 && text.getComputedTextLength() > room; size -= 0.5) {
    text.style.fontSize = `${size}px`;
  }
  for (let size = whole.length; size > 3 && text.getComputedTextLength() > room; size -= 1) {
    text.textContent = `${whole.slice(0, size - 1).trimEnd()}…`;
  }
}

// ---------------------------------------------------------------- one frame

// What a run decides once: which layers are on, how many of each part, which stand alone.
function showRun(view) {
  view.data.layers.forEach((layer, index) => {
    const { group, title } = view.bands[index];
    group.classList.toggle('off', !layer.on);
    title.textContent = layer.on ? layer.title : `${layer.title}: off`;
  });
  view.data.nodes.forEach((node, index) => {
    const { badge, copies } = view.nodes[index];
    badge.style.display = node.on && node.spof ? '' : 'none';
    if (copies) copies.textContent = node.instances > 1 ? `×${node.instances}` : '';
  });
  view.edges.forEach((edge, index) => {
    const [source, target] = view.data.edges[index];
    const on = view.data.nodes[source].on && view.data.nodes[target].on;
    const used = edge.telemetry || view.data.rate[index].some((rate) => rate > 0);
    edge.path.classList.toggle('off', !on || !used);
  });
  view.frame = -1;
}

// Show the frame with this index: only what differs is touched.
function showFrame(view, frame) {
  if (view.frame === frame) return;
  view.frame = frame;
  view.data.nodes.forEach((node, index) => showNode(view, node, index, frame));
  view.edges.forEach((edge, index) => {
    const [, target] = view.data.edges[index];
    edge.rate = view.data.rate[index][frame] / 10; // sent in tenths
    edge.failing = (view.data.failing[target]?.[frame] ?? 0) / 100;
    if (edge.telemetry) return;
    edge.path.style.strokeWidth = 1 + Math.min(5, Math.log10(1 + edge.rate) * 1.3);
    edge.path.classList.toggle('failing', edge.failing > 0.01);
  });
}

function showNode(view, node, index, frame) {
  const parts = view.nodes[index];
  const state = view.data.states[index][frame];
  const stat = node.on ? statText(node, view.data.stat[index][frame] / 10) : 'off';
  const busy = view.data.busy[index][frame];
  parts.group.dataset.state = state;
  parts.glyph.textContent = STATES[state].glyph;
  if (parts.stat) parts.stat.textContent = stat;
  if (parts.bar) {
    parts.busy.textContent = node.on ? `${busy} %` : '';
    parts.bar.style.transform = `scaleX(${Math.min(100, busy) / 100})`;
  }
  const copies = node.instances > 1 ? `, ${node.instances} instances` : '';
  const spof = node.spof ? ', single point of failure' : '';
  const used = parts.bar && node.on ? `, ${busy} % busy` : '';
  const label = `${node.title}${copies}: ${STATES[state].word}${used}, ${stat}${spof}`;
  if (parts.label === label) return;
  parts.label = label;
  parts.group.setAttribute('aria-label', label);
  parts.full.textContent = label;
}

// A number with its unit; a unit that starts with % is "71 % hit".
function statText(node, value) {
  return `${short(value)} ${node.unit}`;
}

function select(view, id) {
  view.data.nodes.forEach((node, index) => {
    const { group } = view.nodes[index];
    group.classList.toggle('selected', node.id === id);
    group.setAttribute('aria-pressed', String(node.id === id));
  });
  view.selected = id;
}

// Mark the box at once; the inspector follows when the server has answered.
function pick(view, id) {
  const chosen = view.selected === id ? null : id;
  select(view, chosen);
  view.send('picked', chosen ?? '');
}

// ---------------------------------------------------------------- traffic

// Move the dots by `elapsed` seconds.  Density is traffic (its square root, so that small streams
// are seen beside large ones); a failing request is a square, for eyes that tell no colours apart.
function moveDots(view, elapsed) {
  const { pen, place } = view;
  pen.clearRect(0, 0, place.width, place.height);
  for (const edge of view.edges) {
    const perSecond = edge.telemetry ? 0.4 : Math.min(12, Math.sqrt(edge.rate) / 3);
    edge.owed += perSecond * elapsed;
    while (edge.owed >= 1) {
      edge.owed -= 1;
      const speed = (edge.telemetry ? 55 : 90 + 40 * Math.random()) / edge.length;
      const failing = Math.random() < edge.failing;
      if (edge.dots.length < DOTS_MAX) edge.dots.push({ way: 0, speed, failing });
    }
    for (const dot of edge.dots) dot.way += dot.speed * elapsed;
    edge.dots = edge.dots.filter((dot) => dot.way < 1);
    for (const dot of edge.dots) drawDot(view, edge, dot);
  }
}

function drawDot({ pen, colours }, edge, dot) {
  const along = dot.way * SAMPLES;
  const step = Math.floor(along);
  const before = edge.points[step];
  const after = edge.points[Math.min(SAMPLES, step + 1)];
  const x = before.x + (after.x - before.x) * (along - step);
  const y = before.y + (after.y - before.y) * (along - step);
  pen.fillStyle = dot.failing ? colours.bad : edge.telemetry ? colours.muted : colours.dot;
  pen.beginPath();
  if (dot.failing) pen.rect(x - 3, y - 3, 6, 6);
  else pen.arc(x, y, edge.telemetry ? 1.4 : 2.3, 0, 2 * Math.PI);
  pen.fill();
}

