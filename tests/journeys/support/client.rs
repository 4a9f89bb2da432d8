//! The official SDK's client, one command at a time.

use std::process::Command;

use serde_json::{Value, json};

use super::{process::Process, python::Generation};

pub struct Client {
    process: Process,
}

/// One line of the client's: `result`, `error` or `ended`, and the HTTP responses that led to it.
#[derive(Debug)]
pub struct Answer {
    pub fields: Value,
}

impl Client {
    /// Connects; the first answer is either `connected` or `ended`.
    pub fn start(generation: Generation, url: &str, key: Option<&str>) -> (Self, Answer) {
        Self::run(generation.command(generation.client()), url, key)
    }

    /// Connects without a key, and logs in where the server asks for it.
    pub fn log_in(generation: Generation, url: &str) -> (Self, Answer) {
        let mut command = generation.command(generation.client());
        command.env("PORTCULLIS_LOGIN", "1");
        Self::run(command, url, None)
    }

    /// Starts any program that takes these commands.
    pub fn run(mut command: Command, url: &str, key: Option<&str>) -> (Self, Answer) {
        command.arg(url);
        if let Some(key) = key {
            command.env("PORTCULLIS_KEY", key);
        }
        let mut client = Self { process: Process::start(&mut command) };
        let answer = client.answer();
        (client, answer)
    }

    pub fn connect(generation: Generation, url: &str, key: &str) -> Self {
        let (client, answer) = Self::start(generation, url, Some(key));
        assert!(answer.fields["connected"].is_object(), "{generation:?}: {answer:?}");
        client
    }

    pub fn ask(&mut self, command: &Value) -> Answer {
        self.process.write_line(&command.to_string());
        self.answer()
    }

    pub fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        self.ask(&json!({"do": "call", "tool": tool, "arguments": arguments}))
    }

    /// Ends the session as its SDK does; exit code 0 says that nothing unexpected happened.
    pub fn end(mut self) {
        self.process.write_line(&json!({"do": "end"}).to_string());
        assert!(self.process.wait().success());
    }

    fn answer(&mut self) -> Answer {
        loop {
            let line = self.process.line();
            let fields: Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
            // Progress is also told in the answer, in its order.
            if fields.get("progress").is_none() {
                return Answer { fields };
            }
        }
    }
}

impl Answer {
    /// What the call answered.
    pub fn result(&self) -> &Value {
        self.fields.get("result").unwrap_or_else(|| panic!("no result in {self:?}"))
    }

    /// The text of a tool's answer.
    pub fn text(&self) -> &str {
        self.result()["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {self:?}"))
    }

    /// The JSON-RPC error that the SDK gave to its caller.
    pub fn error(&self) -> &Value {
        self.fields.get("error").unwrap_or_else(|| panic!("no error in {self:?}"))
    }

    /// The URLs that were asked since the answer before, in their order.
    pub fn asked(&self) -> Vec<&str> {
        let responses = self.fields["http"].as_array().map(Vec::as_slice).unwrap_or_default();
        responses.iter().filter_map(|response| response["url"].as_str()).collect()
    }

    /// The last HTTP response to a POST that led to this answer.
    pub fn response(&self) -> &Value {
        let responses = self.fields["http"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut posts = responses.iter().filter(|response| response["method"] == "POST");
        posts.next_back().unwrap_or_else(|| panic!("no HTTP response in {self:?}"))
    }
}
