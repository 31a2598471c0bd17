// What the browser stores of GraphiQL between visits: tabs, history, and layout, without the secrets typed into them.

// The prefix separates these values from those of another GraphiQL at the same origin, which is common on localhost.
const PREFIX = 'roster:';

// Values that contain whole documents, as JSON.
const DOCUMENTS = new Set(['graphiql:tabState', 'graphiql:queries', 'graphiql:favorites']);

// Copies of the active tab as plain text; `tabState` already contains it.
const REDUNDANT = new Set(['graphiql:query', 'graphiql:variables', 'graphiql:headers']);

// SECURITY: passwords are typed into the variables of the first tab, and GraphiQL saves tabs and history at every
// keystroke. localStorage is not encrypted, and signing out does not clear it. So the value of a JSON member or GraphQL
// argument with such a name is not saved, even while its closing quote is still missing.
const SECRET = /\b((?:\w*(?:password|secret|token|challenge)\w*|code)"?\s*:\s*)(?:"""[^]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?)/gi;

/** Return the JSON of stored documents without secrets. */
export function redact(json) {
  return JSON.stringify(JSON.parse(json), (key, value) => {
    // SECURITY: the history stores headers, and so tokens, even if `shouldPersistHeaders` is false.
    if (key === 'headers') return null;
    return typeof value === 'string' ? value.replace(SECRET, '$1""') : value;
  });
}

function names() {
  return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
}

/** The `storage` of GraphiQL. */
export const storage = {
  getItem: (key) => localStorage.getItem(PREFIX + key),
  setItem(key, value) {
    if (REDUNDANT.has(key)) return;
    localStorage.setItem(PREFIX + key, DOCUMENTS.has(key) ? redact(value) : value);
  },
  removeItem: (key) => localStorage.removeItem(PREFIX + key),
  clear: () => names().forEach((name) => localStorage.removeItem(name)),
  get length() {
    return names().length;
  },
};

/** Return the tab that was active last, or `fallback`. GraphiQL itself would open it without its variables. */
export function activeTab(fallback) {
  try {
    const { tabs, activeTabIndex } = JSON.parse(storage.getItem('graphiql:tabState'));
    return tabs[activeTabIndex] ?? fallback;
  } catch {
    return fallback; // a first visit, or a value that GraphiQL cannot read either
  }
}
