// The page: GraphiQL for the endpoint that served it.

import './workers.js';
import './console.css';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { activeTab, storage } from './storage.js';
import { TABS } from './tabs.js';

const fetcher = createGraphiQLFetcher({
  url: location.pathname,
  subscriptionUrl: `${location.origin.replace(/^http/, 'ws')}${location.pathname}`,
  headers: { accept: 'application/graphql-response+json, application/json;q=0.9' },
  enableIncrementalDelivery: false,
  fetch: (url, init) => fetch(url, { ...init, credentials: 'same-origin' }),
});

const { query, variables } = activeTab(TABS[0]);

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
    defaultTabs={TABS}
    initialQuery={query ?? ''}
    initialVariables={variables ?? ''}
    defaultEditorToolsVisibility="variables"
    shouldPersistHeaders={false}
    inputValueDeprecation
    schemaDescription
  >
    <GraphiQL.Logo>Roster</GraphiQL.Logo>
  </GraphiQL>,
);
