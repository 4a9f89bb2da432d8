// The official TypeScript SDK's client. Usage: PORTCULLIS_KEY=… client.mjs new|old URL
//
// `new` is the SDK's second generation, which speaks MCP 2026-07-28; `old` is its first, up to 2025-11-25. One JSON
// command a line in, one JSON answer a line out, as in tests/clients/steps.py. An answer holds `result`; or `error`, the
// JSON-RPC error as the SDK gave it to its caller (the new SDK: within an HTTP error, where the status is one); or
// `fault`, whatever else it threw; and `http`, what came over the wire for it.

import { createInterface } from 'node:readline';

const HEADERS_OF_INTEREST = ['www-authenticate', 'retry-after', 'ratelimit', 'ratelimit-policy', 'mcp-session-id'];

const [generation, url] = process.argv.slice(2);
const responses = [];

const say = (fields) => console.log(JSON.stringify({ ...fields, http: responses.splice(0) }));

async function observed(input, init) {
    const response = await fetch(input, init);
    const seen = { method: init?.method ?? 'GET', status: response.status };
    for (const name of HEADERS_OF_INTEREST) if (response.headers.has(name)) seen[name] = response.headers.get(name);
    responses.push(seen);
    return response;
}

const me = { name: 'journeys', version: '1' };
const key = process.env.PORTCULLIS_KEY;
// With PORTCULLIS_LOGIN it logs in where the server asks for it, as hosts with a browser do.
const redirect = 'http://127.0.0.1:1/callback';
const login = {
    redirectUrl: redirect,
    clientMetadata: { client_name: 'journeys', redirect_uris: [redirect], token_endpoint_auth_method: 'none' },
    clientInformation: () => undefined,
    saveClientInformation: () => {},
    tokens: () => undefined,
    saveTokens: () => {},
    redirectToAuthorization: (page) => {
        throw new Error(`sent to ${page}`);
    },
    saveCodeVerifier: () => {},
    codeVerifier: () => '',
};
const authProvider = process.env.PORTCULLIS_LOGIN ? login : undefined;
const settings = { authProvider, fetch: observed, requestInit: { headers: key ? { authorization: `Bearer ${key}` } : {} } };

async function open() {
    if (generation === 'new') {
        const sdk = await import('@modelcontextprotocol/client');
        const client = new sdk.Client(me, { versionNegotiation: { mode: 'auto' } });
        const transport = new sdk.StreamableHTTPClientTransport(new URL(url), settings);
        await client.connect(transport);
        const call = (given, options) => client.callTool(given, options);
        return { client, transport, call, protocol: client.getNegotiatedProtocolVersion(), refusal: sdk.ProtocolError };
    }
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const { McpError } = await import('@modelcontextprotocol/sdk/types.js');
    const client = new Client(me);
    const transport = new StreamableHTTPClientTransport(new URL(url), settings);
    await client.connect(transport);
    const call = (given, options) => client.callTool(given, undefined, options);
    return { client, transport, call, protocol: transport.protocolVersion, refusal: McpError };
}

/** Calls a tool and says what came in which order. */
async function stream({ call }, { tool, arguments: given }) {
    const order = [];
    const onprogress = ({ progress }) => order.push(progress);
    const result = await call({ name: tool, arguments: given ?? {} }, { onprogress });
    return { order: [...order, 'result'], result };
}

async function perform(session, command) {
    switch (command.do) {
        case 'tools':
            return (await session.client.listTools()).tools.map((tool) => tool.name);
        case 'call':
            return session.call({ name: command.tool, arguments: command.arguments ?? {} });
        case 'read':
            return session.client.readResource({ uri: command.uri });
        case 'stream':
            return stream(session, command);
        default:
            throw new Error(`no such command: ${command.do}`);
    }
}

function told(thrown, refusal) {
    const { code, message, data } = thrown;
    if (thrown instanceof refusal) return { error: { code, message, data } };
    try {
        return { error: JSON.parse(data.text).error };
    } catch {
        return { fault: String(thrown) };
    }
}

let session;
try {
    session = await open();
} catch (error) {
    say({ ended: [String(error)] });
    process.exit(1);
}
say({ connected: { protocol: session.protocol } });
for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.do === 'end') break;
    try {
        say({ result: await perform(session, command) });
    } catch (error) {
        say(told(error, session.refusal));
    }
}
await session.transport.terminateSession();
await session.client.close();
process.exit(0);
