// The step at hand in words, command and answer; and the stores as tables.  Every text is set as
// text: names come from people's files.

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  const { text, ...rest } = options;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(rest)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function clock(seconds) {
  if (seconds >= 60) {
    const whole = Math.floor(seconds / 60);
    return `${whole}:${(seconds - 60 * whole).toFixed(3).padStart(6, '0')} min`;
  }
  return `${seconds.toFixed(4)} s`;
}

function left(seconds) {
  if (seconds >= 120) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return seconds >= 10 ? `${Math.floor(seconds)} s` : `${seconds.toFixed(1)} s`;
}

function fact(title, ...children) {
  return element('div', { class: 'fact' }, element('h4', { text: title }), ...children);
}

// ---------------------------------------------------------------- one step

function showMoment(panel, moment) {
  panel.replaceChildren();
  if (!moment) {
    panel.append(
      element('h3', { text: 'One request, on real parts' }),
      element('p', { text: 'Choose what a customer asks for, press Send, and go through it step by step. The cache and the queue are a real Redis (embedded), the databases are real SQLite: you see the commands and their answers.' }),
      element('p', { class: 'hint', text: 'A story to try: search for “iPhone 15” and go to the end; search again and see the hit; then Buy Now, and kill the payment worker while it has the message.' }),
      element('p', { class: 'hint', text: 'Keys: → one step on, ← one step back, Home and End.' }),
    );
    return;
  }
  const head = element('h3', {}, element('span', { class: `glyph${moment.warned ? ' warned' : ''}`, text: moment.glyph }), moment.head);
  panel.append(
    element('div', { class: 'where', text: `after ${clock(moment.time)} · ${moment.title} · ${moment.who}` }),
    head,
  );
  if (moment.why) panel.append(element('p', { class: 'why', text: moment.why }));
  if (moment.command) {
    const terminal = element('pre', { class: 'terminal', tabindex: 0, 'aria-label': 'Command and answer' });
    terminal.append(element('span', { class: 'prompt', text: '> ' }), moment.command);
    terminal.append('\n', element('span', { class: 'answer', text: `→ ${moment.answer || '(done)'}` }));
    panel.append(fact('Command and answer', terminal));
  }
  if (moment.changed.length) {
    const list = element('ul', {}, ...moment.changed.map((text) => element('li', { text })));
    panel.append(fact('What changed', list));
  }
  if (moment.metric) panel.append(fact('The metric that moved', element('code', { text: moment.metric })));
  if (moment.span) {
    panel.append(fact('Span', element('code', {
      text: `${moment.span}  (span ${moment.spanId.slice(0, 8)} of trace ${moment.traceId.slice(0, 8)}…)`,
    })));
  }
  if (moment.log) panel.append(fact('Log line', element('code', { class: 'log', text: moment.log })));
}

// ---------------------------------------------------------------- stores

function alive(row, time) {
  return row.every((cell) => cell?.until === undefined || cell.until > time);
}

function nameOf(row) {
  return row.map((cell) => (typeof cell === 'object' ? JSON.stringify(cell) : cell)).join('|');
}

function showStores(panel, tables, before, time) {
  const top = panel.scrollTop;
  panel.replaceChildren(...tables.map((table) => {
    const rows = table.rows.filter((row) => alive(row, time));
    const old = before?.find((each) => each.title === table.title);
    const known = new Set(old?.rows.map(nameOf));
    const section = element('section', { class: 'store', 'data-store': table.title });
    const head = element('h4', { text: table.title });
    if (!rows.length) head.append(element('span', { class: 'empty', text: table.empty }));
    if (table.note) head.append(element('span', { class: 'empty', text: table.note }));
    section.append(head);
    if (rows.length) section.append(storeTable(table, rows, known, before, time));
    return section;
  }));
  panel.scrollTop = top;
  panel.querySelector('tr.fresh')?.closest('.store').scrollIntoView({ block: 'nearest' });
}

function storeTable(table, rows, known, before, time) {
  const grid = element('table', { 'aria-label': table.title });
  grid.append(element('tr', {}, ...table.columns.map((text) => element('th', { text, scope: 'col' }))));
  for (const row of rows) {
    const fresh = before && !known.has(nameOf(row));
    const cells = row.map((cell) => cellOf(cell, time));
    if (fresh) cells[0].prepend(element('span', { class: 'new', text: 'new', title: 'changed by this step' }));
    grid.append(element('tr', { class: fresh ? 'fresh' : '' }, ...cells));
  }
  return grid;
}

function cellOf(cell, time) {
  if (cell?.until !== undefined) return element('td', { class: 'number', text: left(cell.until - time) });
  if (cell?.late !== undefined) return element('td', { class: 'late', text: cell.late });
  return element('td', { text: String(cell), title: String(cell) });
}
