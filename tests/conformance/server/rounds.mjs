// Tools and a prompt of 2026-07-28 that need more of the client before they can answer: `input_required`, and on the
// retry what was asked for.

import { randomUUID } from 'node:crypto';

import { acceptedContent, CLIENT_CAPABILITIES_META_KEY, fromJsonSchema, inputRequired } from '@modelcontextprotocol/server';

import { text } from './samples.mjs';

const NOTHING = fromJsonSchema({ type: 'object', properties: {} });

/** Asks the user for one value. */
const form = (message, field, type = 'string') =>
    inputRequired.elicit({
        message,
        requestedSchema: { type: 'object', properties: { [field]: { type } }, required: [field] },
    });

/** Asks the client's model. */
const sampling = (question) =>
    inputRequired.createMessage({ messages: [{ role: 'user', content: text(question) }], maxTokens: 100 });

const done = (words) => ({ content: [text(words)] });

export function registerRounds(server, state) {
    const add = (name, run) =>
        server.registerTool(
            name,
            { description: `For the conformance suite: ${name}`, inputSchema: NOTHING },
            (_, context) => run(context.mcpReq),
        );
    const ask = async (inputRequests, carried) =>
        inputRequired({
            inputRequests,
            ...(carried && { requestState: await state.mint({ ...carried, nonce: randomUUID() }) }),
        });
    const accepted = (request, key, field) => acceptedContent(request.inputResponses, key)?.[field];

    add('test_input_required_result_elicitation', (request) => {
        const name = accepted(request, 'user_name', 'name');
        return typeof name === 'string' ? done(`Hello, ${name}!`) : ask({ user_name: form('What is your name?', 'name') });
    });

    add('test_input_required_result_sampling', (request) => {
        const answer = request.inputResponses?.capital_question;
        return answer === undefined
            ? ask({ capital_question: sampling('What is the capital of France?') })
            : done(`Sampling response: ${answer.content?.text}`);
    });

    add('test_missing_capability', (request) =>
        request.inputResponses?.answer === undefined ? ask({ answer: sampling('Ping?') }) : done('sampled'),
    );

    add('test_input_required_result_list_roots', (request) => {
        const roots = request.inputResponses?.client_roots?.roots;
        return Array.isArray(roots)
            ? done(`${roots.length} roots: ${roots.map((root) => root.uri).join(', ')}`)
            : ask({ client_roots: inputRequired.listRoots() });
    });

    // The SDK has verified the state before a tool is run.
    for (const name of ['request_state', 'tampered_state']) {
        add(`test_input_required_result_${name}`, (request) =>
            request.requestState() !== undefined && accepted(request, 'confirm', 'ok') !== undefined
                ? done('state-ok: it came back as it was')
                : ask({ confirm: form('Please confirm', 'ok', 'boolean') }, { tool: name }),
        );
    }

    add('test_input_required_result_multiple_inputs', (request) => {
        const name = accepted(request, 'user_name', 'name');
        const greeting = request.inputResponses?.greeting?.content?.text;
        const roots = request.inputResponses?.client_roots?.roots;
        if (typeof name === 'string' && typeof greeting === 'string' && Array.isArray(roots)) {
            return done(`${greeting} ${name}, of ${roots.length} roots`);
        }
        const wanted = {
            user_name: form('What is your name?', 'name'),
            greeting: sampling('Generate a greeting'),
            client_roots: inputRequired.listRoots(),
        };
        return ask(wanted, { tool: 'multiple_inputs' });
    });

    add('test_input_required_result_multi_round', (request) => {
        const carried = request.requestState();
        if (carried?.round === 1) {
            const name = accepted(request, 'step1', 'name');
            return ask({ step2: form('Step 2: What is your favorite color?', 'color') }, { round: 2, name });
        }
        return carried?.round === 2
            ? done(`${carried.name} likes ${accepted(request, 'step2', 'color')}`)
            : ask({ step1: form('Step 1: What is your name?', 'name') }, { round: 1 });
    });

    add('test_input_required_result_capabilities', (request) => {
        if (request.inputResponses !== undefined) return done('answered');
        const declared = request.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
        const wanted = {
            ...(declared.elicitation && { user_name: form('What is your name?', 'name') }),
            ...(declared.sampling && { greeting: sampling('Generate a greeting') }),
            ...(declared.roots && { client_roots: inputRequired.listRoots() }),
        };
        return Object.keys(wanted).length > 0 ? ask(wanted) : done('this client can be asked nothing');
    });

    server.registerPrompt('test_input_required_result_prompt', { description: 'Asks before it answers' }, (context) => {
        const given = accepted(context.mcpReq, 'user_context', 'context');
        return typeof given === 'string'
            ? { messages: [{ role: 'user', content: text(`Use this context: ${given}`) }] }
            : ask({ user_context: form('What context should the prompt use?', 'context') });
    });
}
