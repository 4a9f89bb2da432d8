// What a session sent, so that a stream that broke off can go on where it stopped.

export class EventLog {
    #sent = [];
    #resumed = [];

    async storeEvent(stream, message) {
        this.#sent.push({ stream, message });
        return String(this.#sent.length);
    }

    async replayEventsAfter(last, { send }) {
        const stream = this.#sent[Number(last) - 1]?.stream;
        for (const [index, event] of this.#sent.entries()) {
            const isMessage = Object.keys(event.message ?? {}).length > 0;
            if (index >= Number(last) && event.stream === stream && isMessage) await send(String(index + 1), event.message);
        }
        // Told only once the stream is open again: after this turn of the loop.
        setImmediate(() => this.#resumed.splice(0).forEach((tell) => tell()));
        return stream;
    }

    /** Until the client has come back for a stream. */
    resumed() {
        return new Promise((resolve) => this.#resumed.push(resolve));
    }
}
