// The tabs of a first visit: the three steps of a newcomer. GraphiQL titles each by the name of its operation.

const signIn = `# Welcome to Roster. Start here: sign in.
#
# 1. Put the password into "Variables", below. The first
#    start of \`make serve\` printed the one of \`root\`.
# 2. Press the play button, or Ctrl-Enter.
#
# The answer sets a session cookie, and that counts for
# every tab: no token to copy, nothing to reload.
#
# What you can mend yourself (a wrong password, say) comes
# in the payload's \`errors\`; all else in the answer's.

mutation SignIn($login: String!, $password: String!) {
  login(input: { login: $login, password: $password }) {
    user {
      id
      username
      role {
        name
      }
    }
    errors {
      code
      message
      field
    }
  }
}
`;

const users = `# The ten newest users. Sign in first, in the first tab.
#
# - Next page: add \`after:\` with the \`endCursor\` you got.
# - Ctrl-Space lists what else can be asked for here.
# - The book at the top left documents every field;
#   Ctrl-click a name to open its page.

query Users {
  users(first: 10, orderBy: CREATED_AT_DESC) {
    totalCount
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      id
      username
      email
      suspended
      role {
        name
      }
      plan {
        name
      }
      createdAt
    }
  }
}
`;

const createUser = `# A new account, from the values in "Variables", below.
#
# No password is sent: the person chooses one by the
# "forgotten password" mail. Role and plan are the default
# ones; \`roleName\` and \`planName\` of the input change that.
#
# Run it twice to see what a refusal looks like: \`user\` is
# null, and \`errors\` names the code and the field.

mutation CreateUser($username: String!, $email: String) {
  createUser(input: { username: $username, email: $email }) {
    user {
      id
      username
    }
    errors {
      code
      message
      field
    }
  }
}
`;

const json = (value) => JSON.stringify(value, null, 2);

export const TABS = [
  { query: signIn, variables: json({ login: 'root', password: '' }) },
  { query: users },
  { query: createUser, variables: json({ username: 'ada', email: 'ada@example.com' }) },
];
