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
  own: 'A link cannot carry your own scenario yet: save it as a file on the Scenario page',
};

export default function copylink({ data, parentElement }) {
  const button = parentElement.querySelector('button');
  button.title = data.own ? TITLES.own : TITLES.link;
  button.onclick = async () => {
    if (data.own) {
      button.textContent = 'No link: save the file';
      setTimeout(() => (button.textContent = 'Copy link'), 2 * SAID_FOR_MS);
      return;
    }
    try {
      await copy(window.location.href);
      button.textContent = '✓ Copied';
    } catch {
      button.textContent = 'Copy the address bar';
    }
    setTimeout(() => (button.textContent = 'Copy link'), SAID_FOR_MS);
  };
}
