// What the browser remembers of GraphiQL between visits: tabs, history and layout, without the secrets typed into them.

// Apart from any other GraphiQL that was ever served at this origin, as is common on localhost.
const PREFIX = 'roster:';

// Values that hold whole documents, as JSON.
const DOCUMENTS = new Set(['graphiql:tabState', 'graphiql:queries', 'graphiql:favorites']);

// The active tab once more, as bare text: `tabState` has it already.
const REDUNDANT = new Set(['graphiql:query', 'graphiql:variables', 'graphiql:headers']);

// SECURITY: passwords are typed into the variables of the first tab, and GraphiQL saves tabs and history with every key
// stroke. localStorage is neither encrypted nor ended by a sign-out, so what a member of such a name holds is not saved,
// be it a JSON member or a GraphQL argument, and even while its closing quote is still missing.
const SECRET = /\b((?:\w*(?:password|secret|token|challenge)\w*|code)"?\s*:\s*)(?:"""[^]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?)/gi;

/** The JSON of a document store without secrets. */
export function redact(json) {
  return JSON.stringify(JSON.parse(json), (key, value) => {
    // SECURITY: the history keeps headers, hence tokens, whatever `shouldPersistHeaders` says.
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

/** The tab last looked at, or `fallback`. GraphiQL would open it by itself, but without its variables. */
export function activeTab(fallback) {
  try {
    const { tabs, activeTabIndex } = JSON.parse(storage.getItem('graphiql:tabState'));
    return tabs[activeTabIndex] ?? fallback;
  } catch {
    return fallback; // a first visit, or a value that GraphiQL will not read either
  }
}
