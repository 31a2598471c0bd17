// The addresses of Monaco's workers. The build writes their hashed names into the page.

const { dataset } = document.getElementById('graphiql');
const WORKERS = { graphql: dataset.graphqlWorker, json: dataset.jsonWorker };

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(WORKERS[label] ?? dataset.editorWorker, { type: 'module', name: label }),
};
