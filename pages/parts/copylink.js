// Copies the page's address.  The state is in the address, so this is all that sharing takes.

const SAID_FOR_MS = 1500;

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // A class-room server without TLS is no secure context: there, the old way still works.
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}

const TITLES = {
  link: 'Copy a link to exactly this screen',
  whole: 'Copy a link that carries the whole scenario and its seed',
  own: 'This scenario makes no link, for it is too large or makes no sense: save it as a file',
};

export default function copylink({ data, parentElement }) {
  const button = parentElement.querySelector('button');
  button.title = data.link ? TITLES.whole : data.own ? TITLES.own : TITLES.link;
  button.onclick = async () => {
    if (data.own && !data.link) {
      button.textContent = 'No link: save the file';
      setTimeout(() => (button.textContent = 'Copy link'), 2 * SAID_FOR_MS);
      return;
    }
    try {
      const { href, origin, pathname } = window.location;
      await copy(data.link ? `${origin}${pathname}?s=${data.link}` : href);
      button.textContent = '✓ Copied';
    } catch {
      button.textContent = 'Copy the address bar';
    }
    setTimeout(() => (button.textContent = 'Copy link'), SAID_FOR_MS);
  };
}
