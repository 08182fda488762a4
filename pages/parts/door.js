// Holds the door: who leaves a page, or saves, while something is still on its way to the server, and
// the answer on its way back, would lose it.  The click waits for the answer, then goes on.

const WAYS_OUT = 'a[href], .st-key-save button'; // to another page, or into a file
const DOOR_MS = 3000; // after which nobody is held any longer
const SETTLED_MS = 150; // for what the answer moves elsewhere on the page

// `busy()` says whether something is on its way; call `opened()` whenever an answer has come.
function door(busy) {
  let link = null;
  let timer = null;
  let passing = false;
  const pass = () => {
    clearTimeout(timer);
    const wanted = link;
    link = null;
    passing = true;
    if (wanted?.isConnected) wanted.click();
    passing = false;
  };
  const onClick = (event) => {
    const clicked = event.target.closest?.(WAYS_OUT);
    if (passing || !clicked || clicked.target === '_blank' || clicked.download || !(busy() || link)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    link = clicked;
    clearTimeout(timer);
    timer = setTimeout(pass, DOOR_MS);
  };
  window.addEventListener('click', onClick, true);
  return {
    opened: () => {
      if (!link || busy()) return;
      clearTimeout(timer);
      timer = setTimeout(pass, SETTLED_MS);
    },
    remove: () => {
      clearTimeout(timer);
      window.removeEventListener('click', onClick, true);
    },
  };
}

