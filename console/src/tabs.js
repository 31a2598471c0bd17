// The tabs of a first visit, in the order of the first steps. The title of a tab is the name of its operation.

import createUser from './tabs/create-user.graphql';
import signIn from './tabs/sign-in.graphql';
import users from './tabs/users.graphql';

const json = (value) => JSON.stringify(value, null, 2);

export const TABS = [
  { query: signIn, variables: json({ login: 'root', password: '' }) },
  { query: users },
  { query: createUser, variables: json({ username: 'ada', email: 'ada@example.com' }) },
];
