// Settings, kept where the next visit finds them: a cookie for what the server has to know, and
// Streamlit's own entry for light or dark, which Streamlit reads when a page is loaded.

const YEAR_S = 365 * 24 * 3600;
const LOOKS = { System: 'Automatic', Light: 'Light', Dark: 'Dark' };
const PAGES = [
  '', 'live', 'traces', 'explain', 'compare', 'sweep', 'plan', 'microscope', 'scenario', 'take', 'settings',
];
const FORM = 2; // of Streamlit's entry

// Streamlit has an entry for each address.  One look is meant for all of them.
const beginning = () => window.location.pathname.replace(/[^/]*$/, '');
const entry = (page) => `stActiveTheme-${beginning()}${page}-v${FORM}`;

function chosen() {
  try {
    const said = JSON.parse(window.localStorage.getItem(entry('settings')));
    return said in LOOKS ? said : 'System';
  } catch {
    return 'System';
  }
}

function choose(look, link) {
  for (const page of PAGES) window.localStorage.setItem(entry(page), JSON.stringify(look));
  // A page that is loaded anew is a new session: the address brings what this one shows.
  const address = new URL(window.location.href);
  if (link) address.search = `?s=${link}`;
  window.location.replace(address.href);
}

export default function keeper({ data, parentElement }) {
  const secure = window.location.protocol === 'https:' ? '; Secure' : '';
  const kept = `path=${beginning()}; max-age=${YEAR_S}; SameSite=Strict${secure}`;
  document.cookie = `${data.cookie}=${data.word}; ${kept}`;
  const room = parentElement.querySelector('.looks');
  const now = chosen();
  room.replaceChildren(
    ...Object.entries(LOOKS).map(([look, title]) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = title;
      button.setAttribute('role', 'radio');
      button.setAttribute('aria-checked', String(look === now));
      button.onclick = () => look !== chosen() && choose(look, data.link);
      return button;
    }),
  );
}
