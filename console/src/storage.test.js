import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redact } from './storage.js';

const saved = (tab) => JSON.parse(redact(JSON.stringify({ tabs: [tab] }))).tabs[0];

test('a password among the variables is not saved', () => {
  const variables = '{"login": "root", "password": "hun\\"ter2"}';
  assert.equal(saved({ variables }).variables, '{"login": "root", "password": ""}');
});

test('a password is not saved before its closing quote is typed', () => {
  assert.equal(saved({ variables: '{\n  "newPassword": "hunter\n}' }).variables, '{\n  "newPassword": ""\n}');
});

test('a secret argument is not saved, in any notation of its string', () => {
  const query = 'mutation { a(input: {password: "x", token:"y"}) b(code: """z\n"q" """, challenge: "w") { id } }';
  const expected = 'mutation { a(input: {password: "", token:""}) b(code: "", challenge: "") { id } }';
  assert.equal(saved({ query }).query, expected);
});

test('headers are not saved', () => {
  assert.equal(saved({ headers: '{"authorization": "Bearer rst_x"}' }).headers, null);
});

test('variables, types, and members that only resemble a secret are saved', () => {
  const declaration = '$password: String!, $postalCode: String = "1010"';
  const query = `mutation M(${declaration}) { a(password: $password, postalCode: "1010") }`;
  assert.equal(saved({ query }).query, query);
});
