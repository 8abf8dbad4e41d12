//! Requests to a session under test and their answers.

use crate::support::harness::Session;
use serde_json::Value;
use worker_client::*;

impl Session {
    /// Asks, and sees the answer; other events stay to be looked at.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        let id = self.ask(method, params);
        self.answer_of(&id)
    }

    /// Asks, and gives the request's id.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = Value::from(format!("r{}", self.requests));
        self.worker.sender().request(id.clone(), method, params).expect("the worker takes requests");
        id
    }

    /// The answer of this request.
    #[track_caller]
    pub fn answer_of(&mut self, id: &Value) -> Result<Value, RpcError> {
        let response = self.response();
        assert_eq!(&response.id, id, "{response:?}");
        match response.error {
            Some(error) => Err(error),
            None => Ok(response.result.expect("a result or an error")),
        }
    }

    /// The next refusal of a line that is no request.
    #[track_caller]
    pub fn refusal(&mut self) -> RpcError {
        let response = self.response();
        assert_eq!(response.id, Value::Null, "{response:?}");
        response.error.unwrap_or_else(|| self.fail("wanted an error"))
    }

    /// The next response; other events stay to be looked at.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let held = self.held.iter().position(|event| matches!(event, Event::Response(_)));
        if let Some(Event::Response(response)) = held.and_then(|at| self.held.remove(at)) {
            return response;
        }
        loop {
            match self.pull() {
                Event::Response(response) => return response,
                other => self.hold(other),
            }
        }
    }

    /// The state that `status` tells.
    #[track_caller]
    pub fn status(&mut self) -> Value {
        self.call("status", serde_json::json!({})).expect("status is always answered")
    }
}
