// The tools of the suite that answer in one round, or ask back in the way of the older era.

import { fromJsonSchema } from '@modelcontextprotocol/server';

import { PIXEL, SILENCE, text } from './samples.mjs';

const NOTHING = fromJsonSchema({ type: 'object', properties: {} });

/** What one string argument is described by. */
const oneString = (name) =>
    fromJsonSchema({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name] });

const image = { type: 'image', data: PIXEL, mimeType: 'image/png' };
const audio = { type: 'audio', data: SILENCE, mimeType: 'audio/wav' };
const embedded = (uri, mimeType, text) => ({ type: 'resource', resource: { uri, mimeType, text } });

/** Tools that always answer the same. */
const CONSTANT = {
    test_simple_text: [text('This is a simple text response for testing.')],
    test_image_content: [image],
    test_audio_content: [audio],
    test_embedded_resource: [
        embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
    ],
    test_multiple_content_types: [
        text('Multiple content types test:'),
        image,
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
    test_streaming_elicitation: [text('nothing was asked of the client')],
};

/** What each elicitation of the older era asks for. */
const FORMS = {
    test_elicitation_sep1034_defaults: {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
    },
    test_elicitation_sep1330_enums: {
        untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
        titledSingle: { type: 'string', oneOf: titled('Option') },
        legacyEnum: {
            type: 'string',
            enum: ['opt1', 'opt2', 'opt3'],
            enumNames: ['Option One', 'Option Two', 'Option Three'],
        },
        untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
        titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
    },
};

function titled(word) {
    return ['First', 'Second', 'Third'].map((title, index) => ({ const: `value${index + 1}`, title: `${title} ${word}` }));
}

/** A schema with what JSON Schema 2020-12 added, which must reach the client as it is written here. */
const MODERN_SCHEMA = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
        address: {
            $anchor: 'addressDef',
            type: 'object',
            properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
    },
    properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
};

export function registerTools(server, { sessions, notify }) {
    const add = (name, inputSchema, run) =>
        server.registerTool(name, { description: `For the conformance suite: ${name}`, inputSchema }, async (...all) => ({
            content: await run(...all),
        }));

    for (const [name, content] of Object.entries(CONSTANT)) add(name, NOTHING, () => content);

    add('test_error_handling', NOTHING, () => {
        throw new Error('This tool intentionally returns an error for testing');
    });

    add('test_tool_with_logging', NOTHING, async (_, context) => {
        for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
            await context.mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
        }
        return [text('logged')];
    });

    add('test_logging_tool', NOTHING, async (_, context) => {
        await context.mcpReq.log('info', 'only for a request that asked for it');
        return [text('logged')];
    });

    add('test_tool_with_progress', NOTHING, async (_, context) => {
        const progressToken = context.mcpReq._meta?.progressToken;
        for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
            const params = { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` };
            await context.mcpReq.notify({ method: 'notifications/progress', params });
        }
        return [text(String(progressToken))];
    });

    // Ends its own stream; its answer waits until the client has come back for it.
    add('test_reconnection', NOTHING, async (_, context) => {
        const session = sessions.get(context.sessionId);
        if (session !== undefined) {
            const resumed = session.events.resumed();
            session.transport.closeSSEStream(context.mcpReq.id);
            await resumed;
        }
        return [text('the client came back')];
    });

    add('test_sampling', oneString('prompt'), async ({ prompt }, context) => {
        const messages = [{ role: 'user', content: text(prompt) }];
        const sampled = await context.mcpReq.send({
            method: 'sampling/createMessage',
            params: { messages, maxTokens: 100 },
        });
        return [text(`LLM response: ${sampled.content.text}`)];
    });

    const elicit = async (context, message, properties, required) => {
        const requestedSchema = { type: 'object', properties, required };
        const { action, content } = await context.mcpReq.send({
            method: 'elicitation/create',
            params: { message, requestedSchema },
        });
        return `action=${action}, content=${JSON.stringify(content ?? {})}`;
    };
    add('test_elicitation', oneString('message'), async ({ message }, context) => {
        const told = await elicit(context, message, { response: { type: 'string' } }, ['response']);
        return [text(`User response: ${told}`)];
    });
    for (const [name, properties] of Object.entries(FORMS)) {
        add(name, NOTHING, async (_, context) => {
            const told = await elicit(context, 'Please fill in', properties, []);
            return [text(`Elicitation completed: ${told}`)];
        });
    }

    add('json_schema_2020_12_tool', fromJsonSchema(MODERN_SCHEMA), (given) => [text(JSON.stringify(given))]);

    const mirrored = fromJsonSchema({
        type: 'object',
        properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } },
    });
    add('test_x_mcp_header', mirrored, ({ region }) => [text(`region=${region}`)]);

    add('test_trigger_tool_change', NOTHING, () => {
        notify().toolsChanged();
        return [text('told')];
    });
    add('test_trigger_prompt_change', NOTHING, () => {
        notify().promptsChanged();
        return [text('told')];
    });
}
