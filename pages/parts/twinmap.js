// Maps of several systems side by side, layer under layer: the boxes of `flowmap.js`, at rest.

const twins = new WeakMap();
const SHOWN = 0; // the one frame that there is: means of the whole run

function mountTwin(root, data, send) {
  const card = document.createElement('section');
  const title = document.createElement('h3');
  title.textContent = data.name; // never innerHTML: names come from people's files
  const count = data.nodes.filter(({ differs }) => differs).length;
  const told = document.createElement('small');
  told.textContent = data.base ? ' baseline' : ` ≠ in ${count} of ${data.nodes.length} parts`;
  title.append(told);
  const map = document.createElement('div');
  map.className = 'map';
  map.setAttribute('role', 'group');
  map.setAttribute('aria-label', `Map of ${data.name}`);
  card.append(title, map);
  root.append(card);
  const svg = (name) => {
    const element = draw('svg', { class: name }, map);
    return element;
  };
  const below = svg('below');
  below.setAttribute('aria-hidden', 'true');
  const canvas = document.createElement('canvas');
  const view = { data, map, below, above: svg('above'), canvas, send, pen: canvas.getContext('2d') };
  view.arrange = arrangeNarrow;
  view.selected = null;
  drawTwin(view);
  return view;
}

function drawTwin(view) {
  build(view);
  showRun(view);
  showFrame(view, SHOWN);
  view.data.nodes.forEach((node, index) => markTwin(view, node, view.nodes[index], index));
  select(view, view.selected);
}

// Say what a part was in the baseline: below its box, and to who hears rather than sees.
function markTwin(view, node, parts, index) {
  parts.group.classList.toggle('differs', node.differs);
  if (!node.was) return;
  const { width, height } = view.place.boxes[index];
  const text = draw('text', { class: 'was', x: 4, y: height + 11 }, parts.group);
  const sign = draw('tspan', { class: 'sign' }, text);
  sign.textContent = '≠ ';
  const said = draw('tspan', {}, text);
  said.textContent = node.was === 'not there' ? node.was : `was ${node.was}`;
  for (let size = 10; size >= 8 && text.getComputedTextLength() > width; size -= 0.5) {
    text.style.fontSize = `${size}px`;
  }
  parts.label += `; baseline: ${node.was}`;
  parts.group.setAttribute('aria-label', parts.label);
  parts.full.textContent = parts.label;
}

export default function twinmap({ data, parentElement }) {
  const root = parentElement.querySelector('.twins');
  const text = new TextDecoder().decode(data);
  let known = twins.get(parentElement);
  if (known?.text !== text) {
    known?.resized.disconnect();
    root.replaceChildren();
    known = { text, views: [] };
    const send = (_, id) => known.views.forEach((view) => select(view, id || null));
    JSON.parse(text).forEach((each, place) => {
      known.views.push(mountTwin(root, { ...each, base: place === 0 }, send));
    });
    known.resized = new ResizeObserver(() => {
      for (const view of known.views) {
        if (Math.abs(view.map.clientWidth - view.place.width) >= 2) drawTwin(view);
      }
    });
    known.views.forEach((view) => known.resized.observe(view.map));
    twins.set(parentElement, known);
  }
  return () => {};
}
