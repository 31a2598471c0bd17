// The script of the pages in links of mails. The token is in the fragment, which browsers send to no server.
'use strict';

const ANSWER = '{ errors { code message field } }';
const DOCUMENTS = {
  'autologin': `mutation ($token: String!) { answer: openAutologinLink(input: {token: $token}) ${ANSWER} }`,
  'request': `mutation ($email: String!) { answer: requestPasswordReset(input: {email: $email}) ${ANSWER} }`,
  'reset': `mutation ($token: String!, $newPassword: String!, $code: String) {
    answer: resetPassword(input: {token: $token, newPassword: $newPassword, code: $code}) ${ANSWER} }`,
  'undo': `mutation ($token: String!) { answer: undoEmailChange(input: {token: $token}) ${ANSWER} }`,
  'verify': `mutation ($token: String!) { answer: verifyEmail(input: {token: $token}) ${ANSWER} }`,
};
const ACTIONS = {
  'autologin': 'autologin',
  'confirm-email': 'verify',
  'invitation': 'reset',
  'reset-password': 'reset',
  'undo-email': 'undo',
  'verify-email': 'verify',
};
const SERVICE = '../graphql';

const page = document.body.dataset.page;
const texts = JSON.parse(document.body.dataset.errors);
const element = (id) => document.getElementById(id);
let token = '';

/** Take the token out of the address, so that it is in no history and in no bookmark. */
function begin() {
  token = location.hash.slice(1);
  if (location.hash) history.replaceState(null, '', location.pathname);
  element('with-token').hidden = !token;
  element('without-token').hidden = Boolean(token);
}

/** Run a mutation, and return its errors. */
async function run(name, variables) {
  const response = await fetch(SERVICE, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Accept': 'application/json' },
    body: JSON.stringify({ query: DOCUMENTS[name], variables }),
  });
  const answer = await response.json();
  if (answer.errors) {
    return answer.errors.map(({ message, extensions }) => ({ message, code: extensions.code, wait: extensions.retryAfter }));
  }
  return answer.data.answer.errors;
}

/** Run a form's mutation while its button is disabled; show what went wrong, or `shown` in place of the form. */
async function submit(form, name, variables, shown) {
  const button = form.querySelector('button');
  let errors;
  button.disabled = true;
  element('error').textContent = '';
  try {
    errors = await run(name, variables);
  } catch {
    errors = [{ code: 'UNAVAILABLE', message: '' }];
  }
  button.disabled = false;
  if (errors.length) {
    show(errors);
    return false;
  }
  form.hidden = true;
  shown.hidden = false;
  shown.focus();
  return true;
}

function show(errors) {
  const code = errors.find((error) => error.field && error.field[0] === 'code');
  const asked = code && element('second-factor') && element('second-factor').hidden;
  if (asked) {
    element('second-factor').hidden = false;
    element('code').required = true;
    element('code').focus();
  }
  const messages = errors.map((error) => {
    const text = texts[asked && error === code ? 'CODE' : error.code] || error.message;
    return text.replace('{wait}', () => inWords(error.wait || 60));
  });
  element('error').textContent = messages.join(' ');
  // A link that is no longer valid is replaced by another one, which the form below requests
  if (element('email') && errors.some((error) => error.code === 'EXPIRED')) {
    element('with-token').hidden = true;
    element('without-token').hidden = false;
    element('email').focus();
  }
}

/** Return how long to wait, such as "in 5 minutes", in the language of the page. */
function inWords(seconds) {
  const [unit, size] = [['day', 86400], ['hour', 3600], ['minute', 60]].find(([, size]) => seconds >= 2 * size) || ['second', 1];
  return new Intl.RelativeTimeFormat(document.documentElement.lang).format(Math.ceil(seconds / size), unit);
}

element('with-token').addEventListener('submit', async (event) => {
  event.preventDefault();
  const variables = { token };
  if (ACTIONS[page] === 'reset') {
    variables.newPassword = element('password').value;
    variables.code = element('code').value || null;
  }
  const done = await submit(event.target, ACTIONS[page], variables, element('done'));
  if (done && page === 'autologin') location.replace(SERVICE);
});

if (element('email')) {
  element('without-token').addEventListener('submit', (event) => {
    event.preventDefault();
    submit(event.target, 'request', { email: element('email').value }, element('sent'));
  });
}

window.addEventListener('hashchange', begin);
begin();
