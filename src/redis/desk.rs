//! Where the log and the driver of an engine meet: the log holds one end as its [`Store`], the loop
//! the engine and the other end. Both ends are in one thread, and nothing waits.

use super::Engine;
use crate::log::{Answer, Request, Store};
use std::sync::mpsc::{Receiver, Sender, channel};

/// The end of the log.
#[derive(Debug)]
pub struct Desk {
    requests: Sender<Request>,
    answers: Receiver<Answer>,
}

/// The end of the loop, for [`Engine::serve`].
#[derive(Debug)]
pub struct Counter {
    requests: Receiver<Request>,
    answers: Sender<Answer>,
}

pub fn desk() -> (Desk, Counter) {
    let (requests, asked) = channel();
    let (answered, answers) = channel();
    let counter = Counter {
        requests: asked,
        answers: answered,
    };
    (Desk { requests, answers }, counter)
}

impl Store for Desk {
    fn send(&mut self, requests: &mut Vec<Request>) {
        for request in requests.drain(..) {
            // Where the other end is gone, the program ends.
            let _ = self.requests.send(request);
        }
    }

    fn receive(&mut self, answers: &mut Vec<Answer>) {
        answers.extend(self.answers.try_iter());
    }
}

impl Engine {
    /// Takes what the log has asked, and gives it what came. To be called before the log takes
    /// answers, and again after it has handed over.
    pub fn serve(&mut self, counter: &Counter) {
        let mut requests: Vec<Request> = counter.requests.try_iter().collect();
        if !requests.is_empty() {
            self.send(&mut requests);
        }
        let mut answers = Vec::new();
        self.receive(&mut answers);
        for answer in answers {
            let _ = counter.answers.send(answer);
        }
    }
}
