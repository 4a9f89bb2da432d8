// The MCP server that the conformance suite examines: the official TypeScript SDK, both eras at one endpoint, with the
// tools, resources and prompts that the suite asks for by name. Usage: main.mjs, which prints `listening on URL`.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { localhostHostValidation, NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import {
    classifyInboundRequest,
    createMcpHandler,
    createRequestStateCodec,
    isInitializeRequest,
    McpServer,
} from '@modelcontextprotocol/server';

import { EventLog } from './events.mjs';
import { registerReading } from './reading.mjs';
import { registerRounds } from './rounds.mjs';
import { registerTools } from './tools.mjs';

const state = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)) });

/** The transports of the sessions of the older era, by their ids. */
const sessions = new Map();

/** Stateless requests of 2026-07-28: a server of its own for each. */
const modern = createMcpHandler(makeServer, { legacy: 'reject' });
const answerModern = toNodeHandler(modern);

function makeServer() {
    const server = new McpServer(
        { name: 'examined', version: '1.0.0' },
        {
            capabilities: {
                tools: { listChanged: true },
                resources: { subscribe: true, listChanged: true },
                prompts: { listChanged: true },
                logging: {},
                completions: {},
            },
            requestState: { verify: state.verify },
        },
    );
    registerTools(server, { sessions, notify: () => modern.notify });
    registerRounds(server, state);
    registerReading(server);
    return server;
}

async function openSession() {
    const server = makeServer();
    const events = new EventLog();
    const transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        eventStore: events,
        retryInterval: 500,
        onsessioninitialized: (id) => sessions.set(id, { transport, events }),
    });
    transport.onclose = () => sessions.delete(transport.sessionId);
    await server.connect(transport);
    return transport;
}

async function bodyOf(request) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
}

function refuse(response, status, code, message) {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } }));
}

const hostIsOurs = localhostHostValidation();

async function answer(request, response) {
    if (!hostIsOurs(request, response)) return;
    const id = request.headers['mcp-session-id'];
    let body;
    if (request.method === 'POST') {
        try {
            body = JSON.parse(await bodyOf(request));
        } catch {
            return refuse(response, 400, -32700, 'Parse error');
        }
        const asked = classifyInboundRequest({
            httpMethod: request.method,
            protocolVersionHeader: request.headers['mcp-protocol-version'],
            mcpMethodHeader: request.headers['mcp-method'],
            body,
        });
        if (asked.kind !== 'legacy') return answerModern(request, response, body);
        if (id === undefined && isInitializeRequest(body)) {
            return (await openSession()).handleRequest(request, response, body);
        }
    }
    if (id === undefined) return refuse(response, 400, -32000, 'A session id is required');
    const session = sessions.get(id);
    if (session === undefined) return refuse(response, 404, -32001, 'No such session');
    return session.transport.handleRequest(request, response, body);
}

const http = createServer((request, response) => {
    answer(request, response).catch((error) => {
        console.error(error);
        if (!response.headersSent) refuse(response, 500, -32603, 'Internal error');
    });
});
http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}/mcp`));
