// Mercurius as its documentation shows it: Fastify, JIT, loaders, and a pool of node-postgres with named statements.
// Usage: BENCH_DATABASE_URL=... BENCH_STATEMENTS=<JSON of SQL texts> node server.js SOCKET

import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'

const POOL = 10
const sql = JSON.parse(process.env.BENCH_STATEMENTS)

// A time as text: 2026-01-02 03:04:05.678+00 becomes 2026-01-02T03:04:05.678Z
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11, -3)}Z`)

// The URL of a server on a unix socket has no host, which URL does not accept
const url = new URL(process.env.BENCH_DATABASE_URL.replace('@/', '@localhost/'))
const pool = new pg.Pool({
  host: url.searchParams.get('host') ?? url.hostname,
  port: Number(url.searchParams.get('port') ?? (url.port || 5432)),
  user: decodeURIComponent(url.username),
  password: decodeURIComponent(url.password) || undefined,
  database: decodeURIComponent(url.pathname.slice(1)),
  max: POOL,
  options: '-c jit=off -c timezone=UTC',
})

const fetch = async (name, ...values) => (await pool.query({ name, text: sql[name], values })).rows

const schema = `
  enum Tier { FREE PAID EDUCATIONAL ENTERPRISE }
  type Plan { id: ID! name: String! description: String tier: Tier! isDefault: Boolean! }
  type Session { id: ID! ip: String device: String createdAt: String! lastSeenAt: String! }
  type ApiKey { id: ID! name: String! prefix: String! createdAt: String! lastUsedAt: String }
  type SshKey { id: ID! name: String! type: String! fingerprint: String! createdAt: String! }
  type Sessions { nodes: [Session!]! }
  type ApiKeys { nodes: [ApiKey!]! }
  type SshKeys { nodes: [SshKey!]! }
  type User {
    id: ID! username: String email: String emailVerified: Boolean firstName: String lastName: String language: String
    tier: Tier twoFactorEnabled: Boolean! createdAt: String! version: Int
    plan: Plan sessions: Sessions apiKeys: ApiKeys sshKeys: SshKeys
  }
  type Users { nodes: [User!]! }
  input UserBy { id: ID }
  type Query { user(by: UserBy!): User users(first: Int = 20): Users }
  input UpdateUserInput { id: ID! firstName: String }
  type UserError { code: String! }
  type UserPayload { user: User errors: [UserError!]! }
  type Mutation { updateUser(input: UpdateUserInput!): UserPayload }
`

const resolvers = {
  Query: {
    users: async (_, { first }) => ({ nodes: await fetch('PAGE', first) }),
  },
  Mutation: {
    updateUser: async (_, { input }) => ({
      user: (await fetch('UPDATE', input.id, input.firstName))[0] ?? null,
      errors: [],
    }),
  },
}

// The rows of each user, for a loader of a list
const listOf = (name) => async (queries) => {
  const found = new Map()
  for (const row of await fetch(name, queries.map(({ obj }) => obj.id))) {
    const rows = found.get(row.key)
    if (rows) rows.push(row)
    else found.set(row.key, [row])
  }
  return queries.map(({ obj }) => ({ nodes: found.get(obj.id) ?? [] }))
}

const loaders = {
  // A loader and not a resolver, so that the operations of a batch share a statement
  Query: {
    async user(queries) {
      if (queries.length === 1) return [(await fetch('USER', queries[0].params.by.id))[0] ?? null]
      const rows = await fetch('USERS', queries.map(({ params }) => params.by.id))
      const found = new Map(rows.map((row) => [row.id, row]))
      return queries.map(({ params }) => found.get(params.by.id) ?? null)
    },
  },
  User: {
    async plan(queries) {
      const ids = [...new Set(queries.map(({ obj }) => obj.plan).filter(Boolean))]
      const found = new Map((await fetch('PLANS', ids)).map((row) => [row.id, row]))
      return queries.map(({ obj }) => found.get(obj.plan) ?? null)
    },
    sessions: listOf('SESSIONS'),
    apiKeys: listOf('API_KEYS'),
    sshKeys: listOf('SSH_KEYS'),
  },
}

const app = Fastify()
app.register(mercurius, { schema, resolvers, loaders, jit: 1, allowBatchedQueries: true })
await app.listen({ path: process.argv[2] })

process.on('SIGTERM', async () => {
  await app.close()
  await pool.end()
})
