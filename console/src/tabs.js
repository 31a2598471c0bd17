// The tabs of a first visit, in the order of the first steps. The title of a tab is the name of its operation.

import changeEmail from './tabs/change-email.graphql';
import changePassword from './tabs/change-password.graphql';
import confirmEmail from './tabs/confirm-email.graphql';
import createApiKey from './tabs/create-api-key.graphql';
import createAutologinLink from './tabs/create-autologin-link.graphql';
import createUser from './tabs/create-user.graphql';
import register from './tabs/register.graphql';
import signIn from './tabs/sign-in.graphql';
import users from './tabs/users.graphql';
import verifyTwoFactor from './tabs/verify-two-factor.graphql';

const json = (value) => JSON.stringify(value, null, 2);

export const TABS = [
  { query: signIn, variables: json({ login: 'root', password: '' }) },
  { query: verifyTwoFactor, variables: json({ challenge: '', code: '' }) },
  { query: users },
  { query: createUser, variables: json({ username: 'ada', email: 'ada@example.com' }) },
  { query: register, variables: json({ email: 'lin@example.com', username: 'lin', password: '' }) },
  { query: confirmEmail, variables: json({ token: '' }) },
  { query: changeEmail, variables: json({ email: '', password: '' }) },
  { query: changePassword, variables: json({ currentPassword: '', newPassword: '' }) },
  { query: createApiKey, variables: json({ name: 'laptop', permissions: ['account.read'] }) },
  { query: createAutologinLink, variables: json({ userId: '', reason: '' }) },
];
