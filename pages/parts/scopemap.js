// The seven-layer map, small and still: boxes in their layers, the place of the step lit, and the
// way that the request has come so far.

const SVG = 'http://www.w3.org/2000/svg';
const MAP = { box: 22, gap: 5, head: 17, strip: 24, inset: 6, most: 178 };

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

function fit(text, room) {
  const whole = text.textContent;
  for (let size = whole.length; size > 3 && text.getComputedTextLength() > room; size -= 1) {
    text.textContent = `${whole.slice(0, size - 1).trimEnd()}…`;
  }
}

// Six columns, and the layer that watches them all as a strip below.
function buildMap(svg, still) {
  svg.replaceChildren();
  const width = Math.max(320, svg.clientWidth);
  const last = still.layers.length - 1;
  const columns = still.layers.slice(0, last).map((_, layer) => (
    still.nodes.filter((node) => node.layer === layer)));
  const most = Math.max(3, ...columns.map((column) => column.length));
  const row = Math.min(MAP.box + MAP.gap, (MAP.most - MAP.head - MAP.strip - 8) / most);
  const box = Math.min(MAP.box, row - 3);
  const floor = MAP.head + most * row + 3;
  const height = floor + MAP.strip + 4;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  const pitch = (width + MAP.inset) / columns.length;
  const places = new Map();
  columns.forEach((column, layer) => {
    const x = layer * pitch;
    buildGround(svg, still.layers[layer], { x, y: 0, width: pitch - MAP.inset, height: floor });
    const top = MAP.head + (floor - MAP.head - 3 - column.length * row) / 2;
    column.forEach((node, place) => places.set(node.id, {
      node, x: x + 6, y: top + place * row + (row - box) / 2, width: pitch - MAP.inset - 12, height: box,
    }));
  });
  const y = height - MAP.strip;
  buildGround(svg, still.layers[last], { x: 0, y, width, height: MAP.strip });
  const watchers = still.nodes.filter((node) => node.layer === last);
  const room = (width - 110) / Math.max(1, watchers.length);
  watchers.forEach((node, place) => places.set(node.id, {
    node, x: 110 + place * room, y: y + 4, width: Math.min(150, room - 8), height: MAP.strip - 7,
  }));
  const edges = draw('g', {}, svg);
  for (const [source, target] of still.edges) buildEdge(edges, places.get(source), places.get(target));
  const trail = draw('g', { class: 'trail' }, svg);
  const boxes = new Map();
  for (const [id, place] of places) boxes.set(id, buildBox(svg, still, place));
  return { svg, places, boxes, trail };
}

function buildGround(svg, layer, { x, y, width, height }) {
  const group = draw('g', {
    class: layer.on ? 'ground' : 'ground off', style: `--layer: var(--layer-${layer.name})`,
  }, svg);
  draw('rect', { class: 'field', x, y, width, height, rx: 5 }, group);
  draw('rect', { class: 'seam', x, y, width, height: 2.5, rx: 1.2 }, group);
  write(group, layer.on ? layer.title : `${layer.title}: off`, { x: x + 7, y: y + 13.5 });
}

function path(from, to) {
  const a = { x: from.x + from.width / 2, y: from.y + from.height / 2 };
  const b = { x: to.x + to.width / 2, y: to.y + to.height / 2 };
  if (Math.abs(a.x - b.x) < 5) {
    const side = from.x;
    return `M${side},${a.y} C${side - 8},${a.y} ${side - 8},${b.y} ${side},${b.y}`;
  }
  const ahead = b.x > a.x;
  const start = ahead ? from.x + from.width : from.x;
  const end = ahead ? to.x : to.x + to.width;
  const bend = (start + end) / 2;
  return `M${start},${a.y} C${bend},${a.y} ${bend},${b.y} ${end},${b.y}`;
}

function buildEdge(parent, from, to) {
  if (from && to) draw('path', { class: 'edge', d: path(from, to) }, parent);
}

function buildBox(svg, still, { node, x, y, width, height }) {
  const style = `--layer: var(--layer-${still.layers[node.layer].name})`;
  const group = draw('g', { class: 'place', style, transform: `translate(${x},${y})`, 'data-id': node.id }, svg);
  draw('rect', { class: 'box', width, height, rx: 4 }, group);
  draw('rect', { class: 'spine', x: 0, y: 3, width: 3, height: height - 6, rx: 1.5 }, group);
  const title = node.copies > 1 ? `${node.title} ×${node.copies}` : node.title;
  const label = write(group, title, { x: 8, y: height / 2 + 4 });
  fit(label, width - 26);
  const glyph = write(group, '', { class: 'mark', x: width - 10, y: height / 2 + 4 });
  return { group, glyph };
}

// Light the place of a step and the way of its request up to there.
function lightMap(map, moments, at) {
  const here = moments[at];
  const been = [];
  if (here) {
    for (let each = at; each >= 0; each -= 1) {
      const { request, station, who } = moments[each];
      if (request === here.request && (who === here.who || who.startsWith('request')) && map.places.has(station)) {
        if (been[0] !== station) been.unshift(station);
      }
    }
  }
  map.trail.replaceChildren();
  been.slice(1).forEach((station, step) => {
    draw('path', { class: 'way', d: path(map.places.get(been[step]), map.places.get(station)) }, map.trail);
  });
  for (const [id, { group, glyph }] of map.boxes) {
    const lit = here?.station === id;
    group.classList.toggle('lit', lit);
    group.classList.toggle('warned', Boolean(lit && here.warned));
    group.classList.toggle('been', !lit && been.includes(id));
    glyph.textContent = lit ? here.glyph : '';
  }
  map.svg.setAttribute('aria-label', here
    ? `Map of the system; this step is at ${here.title}` : 'Map of the system; nothing has happened yet');
}
