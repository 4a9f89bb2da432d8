// The resources, prompts and completions of the suite.

import { fromJsonSchema, ResourceTemplate } from '@modelcontextprotocol/server';

import { PIXEL, text } from './samples.mjs';

const user = (content) => ({ role: 'user', content });

/** What a prompt's arguments, all of them strings, are described by. */
const strings = (...names) =>
    fromJsonSchema({
        type: 'object',
        properties: Object.fromEntries(names.map((name) => [name, { type: 'string', description: `The ${name}` }])),
        required: names,
    });

export function registerReading(server) {
    const resource = (name, mimeType, content) => {
        const uri = `test://${name}`;
        const read = () => ({ contents: [{ uri, mimeType, ...content }] });
        server.registerResource(name, uri, { description: `The resource ${name}`, mimeType }, read);
    };
    resource('static-text', 'text/plain', { text: 'This is the content of the static text resource.' });
    resource('static-binary', 'image/png', { blob: PIXEL });
    resource('watched-resource', 'text/plain', { text: 'Watched resource content' });
    server.registerResource(
        'template',
        new ResourceTemplate('test://template/{id}/data', { list: undefined }),
        { description: 'A resource for each id', mimeType: 'application/json' },
        (uri, { id }) => {
            const data = { id, templateTest: true, data: `Data for ID: ${id}` };
            return { contents: [{ uri: uri.href, mimeType: 'application/json', text: JSON.stringify(data) }] };
        },
    );
    for (const method of ['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel']) {
        server.server.setRequestHandler(method, () => ({}));
    }

    const prompt = (name, argsSchema, messages) =>
        server.registerPrompt(name, { description: `The prompt ${name}`, argsSchema }, (given) => ({
            messages: messages(given).map(user),
        }));
    prompt('test_simple_prompt', undefined, () => [text('This is a simple prompt for testing.')]);
    prompt('test_prompt_with_arguments', strings('arg1', 'arg2'), ({ arg1, arg2 }) => [
        text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
    ]);
    prompt('test_prompt_with_embedded_resource', strings('resourceUri'), ({ resourceUri: uri }) => [
        { type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } },
        text('Please process the embedded resource above.'),
    ]);
    prompt('test_prompt_with_image', undefined, () => [
        { type: 'image', data: PIXEL, mimeType: 'image/png' },
        text('Please analyze the image above.'),
    ]);

    server.server.setRequestHandler('completion/complete', () => ({
        completion: { values: [], total: 0, hasMore: false },
    }));
}
