//! Which operation a call is, and so what sort of thing it does.

use super::{Call, Letters, LlmKeyWish};
use crate::api::{Action, Operation};

impl Call {
    /// The id of its operation in the catalogue; of the first one, where several mean the same.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Create(_) => "tasks.create",
            Self::Derive(_) => "tasks.clone",
            Self::Get(_) => "tasks.get",
            Self::List(_) => "tasks.list",
            Self::Tree(_) => "tasks.tree",
            Self::Children(_) => "tasks.children",
            Self::Count(_) => "tasks.count",
            Self::Execute(_) => "tasks.execute",
            Self::Cancel(_) => "tasks.cancel",
            Self::Generate(_) => "tasks.generate",
            Self::LlmKey(key) => match key.wish {
                LlmKeyWish::Get => "config.llm_key.get",
                LlmKeyWish::Set(_) => "config.llm_key.set",
                LlmKeyWish::Delete => "config.llm_key.delete",
            },
            Self::Update(_) => "tasks.update",
            Self::Delete(_) => "tasks.delete",
            Self::Attempts(_) => "tasks.attempts",
            Self::Letters(letters) => match letters.as_ref() {
                Letters::List { .. } => "dlq.list",
                Letters::Get(_) => "dlq.get",
                Letters::Requeue { .. } => "dlq.requeue",
                Letters::Drop { .. } => "dlq.drop",
            },
            Self::RunningList(_) => "tasks.running.list",
            Self::RunningStatus(_) => "tasks.running.status",
            Self::RunningCount { .. } => "tasks.running.count",
            Self::WebhookTrigger(_) => "tasks.webhook.trigger",
            Self::Scheduled(_) => "tasks.scheduled.list",
            Self::ScheduledDue(_) => "tasks.scheduled.due",
            Self::ScheduledInit(_) => "tasks.scheduled.init",
            Self::ScheduledComplete(_) => "tasks.scheduled.complete",
            Self::ExportIcal(_) => "tasks.scheduled.export-ical",
            Self::ScheduledBackfill(_) => "tasks.scheduled.backfill",
            Self::Snapshot(call) => call.operation(),
            Self::FeedbackList(_) => "feedback.list",
            Self::FeedbackGet(_) => "feedback.get",
            Self::FeedbackRespond(_) => "feedback.respond",
            Self::FeedbackCancel { .. } => "feedback.cancel",
            Self::EventsPublish(_) => "events.publish",
            Self::TasksPause(pause) if pause.paused => "tasks.pause",
            Self::TasksPause(_) => "tasks.resume",
            Self::Health => "system.health",
            Self::Executors => "system.executors",
            Self::ConfigList => "config.list",
            Self::ConfigGet(_) => "config.get",
            Self::ConfigSet(_) => "config.set",
            Self::ConfigReload => "config.reload",
            Self::Flow(call) => call.operation(),
        }
    }

    /// What sort of thing it does, as the catalogue says.
    pub fn action(&self) -> Action {
        match Operation::find(self.operation()) {
            Some(operation) if operation.annotations.readonly => Action::Read,
            _ => Action::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operation::operations;

    #[test]
    fn b5_every_call_is_as_careful_as_the_operation_it_was_read_from() {
        for operation in operations() {
            for example in operation.examples {
                let params = serde_json::from_str(example).expect(example);
                let call = Call::read(operation.id, params).expect(operation.id).call;
                let own = Operation::find(call.operation()).expect("it is in the catalogue");
                assert_eq!(own.annotations, operation.annotations, "{}", operation.id);
                let reads = call.action() == Action::Read;
                assert_eq!(reads, operation.annotations.readonly, "{}", operation.id);
            }
        }
    }
}
