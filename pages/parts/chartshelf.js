// Charts as pictures.  An <img> runs no scripts, whatever a picture holds.

const DOTS = 2; // of a PNG, for each of the picture's own: sharp on paper

function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const svgOf = (chart) => new Blob([chart.svg], { type: 'image/svg+xml' });

async function pngOf(chart) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(chart.svg)}`;
  await image.decode();
  const box = chart.svg.match(/viewBox="\S+ \S+ ([\d.]+) ([\d.]+)"/);
  const [width, height] = box
    ? [Number(box[1]), Number(box[2])]
    : [image.naturalWidth, image.naturalHeight];
  const canvas = document.createElement('canvas');
  canvas.width = DOTS * width;
  canvas.height = DOTS * height;
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, 'image/png'));
}

function button(text, title, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = text;
  made.title = title;
  made.setAttribute('aria-label', title);
  made.onclick = act;
  return made;
}

function card(chart, stem) {
  const figure = document.createElement('figure');
  const image = document.createElement('img');
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(chart.svg)}`;
  image.alt = chart.said || chart.title;
  const words = document.createElement('figcaption');
  const title = document.createElement('b');
  title.textContent = chart.title;
  const name = `${stem}-${chart.name}`;
  words.append(
    title,
    button('SVG', `${chart.title} as SVG`, () => save(svgOf(chart), `${name}.svg`)),
    button('PNG', `${chart.title} as PNG`, async () => save(await pngOf(chart), `${name}.png`)),
  );
  figure.append(image, words);
  return figure;
}

export default function shelf({ data, parentElement }) {
  const room = parentElement.querySelector('.shelf');
  room.replaceChildren(...data.charts.map((chart) => card(chart, data.stem)));
}
