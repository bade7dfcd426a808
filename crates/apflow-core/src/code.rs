//! The error codes: each has a number, a JSON-RPC code, an HTTP status and a page in `docs/errors`.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $rpc:literal, $http:literal, $title:literal;)*) => {
        /// What sort of error it is; programs branch on it, people look it up.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("AF", $number),)*
                }
            }

            /// The code of the JSON-RPC error object (ruling 28).
            pub const fn rpc(self) -> i64 {
                match self {
                    $(Self::$name => $rpc,)*
                }
            }

            /// The HTTP status that goes with it.
            pub const fn http(self) -> u16 {
                match self {
                    $(Self::$name => $http,)*
                }
            }

            /// What happened, without the particulars.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// The page that explains it, in Markdown; a code without a page does not compile.
            pub const fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../docs/errors/AF", $number, ".md")),)*
                }
            }

            /// The code that is printed like this.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
            }
        }
    };
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

codes! {
    /// A task says something it cannot say.
    InvalidTask = "0001", -32005, 400, "a task says something it cannot say";
    /// Tasks wait for one another.
    Cycle = "0002", -32002, 400, "tasks wait for one another";
    /// A dependency names a task that is not there.
    UnknownReference = "0003", -32011, 400, "a dependency names a task that is not there";
    /// A parent is missing, or tasks are one another's parents.
    InvalidParent = "0004", -32010, 400, "a parent is missing, or tasks are one another's parents";
    /// The submission as a whole cannot be stored.
    InvalidTree = "0005", -32012, 400, "the submission as a whole cannot be stored";
    /// There is no such task.
    NotFound = "0006", -32001, 404, "there is no such task";
    /// The task stands where this cannot be done.
    IllegalTransition = "0007", -32006, 409, "the task stands where this cannot be done";
    /// A run of this tree is going on.
    AlreadyRunning = "0008", -32008, 409, "a run of this tree is going on";
    /// The task cannot be deleted.
    CannotDelete = "0009", -32009, 409, "the task cannot be deleted";
    /// No executor of that name exists here.
    UnknownExecutor = "0010", -32003, 400, "no executor of that name exists here";
    /// The executor exists and is not allowed.
    ExecutorNotAllowed = "0011", -32003, 403, "the executor exists and is not allowed";
    /// The parameters do not fit the operation.
    InvalidParams = "0012", -32602, 400, "the parameters do not fit the operation";
    /// There is no such operation.
    UnknownMethod = "0013", -32601, 400, "there is no such operation";
    /// The body is not JSON.
    NotJson = "0014", -32700, 400, "the body is not JSON";
    /// The body is JSON and no JSON-RPC request.
    InvalidRequest = "0015", -32600, 400, "the body is JSON and no JSON-RPC request";
    /// The idempotency key belongs to another request.
    KeyReused = "0016", -32602, 409, "the idempotency key belongs to another request";
    /// A value is larger or deeper than may be stored.
    TooLarge = "0017", -32602, 413, "a value is larger or deeper than may be stored";
    /// The workflow file cannot be read.
    WorkflowFile = "0018", -32602, 400, "the workflow file cannot be read";
    /// Something went wrong inside apflow.
    Internal = "0019", -32603, 500, "something went wrong inside apflow";
    /// Another process has the database.
    DatabaseLocked = "0020", -32603, 503, "another process has the database";
    /// There is no room left to write.
    DatabaseFull = "0021", -32603, 503, "there is no room left to write";
    /// The file is not, or no longer, a sound database.
    DatabaseDamaged = "0022", -32603, 500, "the file is not, or no longer, a sound database";
    /// The database was made by a newer apflow.
    DatabaseTooNew = "0023", -32603, 500, "the database was made by a newer apflow";
    /// The address names no database apflow has.
    DatabaseAddress = "0024", -32602, 400, "the address names no database apflow has";
    /// The database does not answer.
    DatabaseUnavailable = "0025", -32603, 503, "the database does not answer";
    /// The address may not be called.
    EgressRefused = "0026", -32603, 403, "the address may not be called";
    /// The command may not be run.
    CommandRefused = "0027", -32603, 403, "the command may not be run";
    /// Apflow has as much work as it takes.
    Overloaded = "0028", -32603, 503, "apflow has as much work as it takes";
    /// The answer took longer than it may.
    Timeout = "0029", -32603, 504, "the answer took longer than it may";
    /// The process is shutting down.
    Draining = "0030", -32603, 503, "the process is shutting down";
    /// The configuration cannot be used.
    Config = "0031", -32602, 400, "the configuration cannot be used";
    /// The request carries no valid credential.
    Unauthorized = "0032", -32004, 401, "the request carries no valid credential";
    /// The inputs do not fit what the executor declares.
    InvalidInputs = "0033", -32602, 400, "the inputs do not fit what the executor declares";
    /// The HTTP request is not one apflow answers.
    HttpRequest = "0034", -32600, 400, "the HTTP request is not one apflow answers";
    /// Something that is not completed was to be linked or archived.
    Unfinished = "0035", -32006, 409, "only what is completed can be linked or archived";
    /// A link or an archived task was to be changed or run.
    Fixed = "0036", -32006, 409, "a link or an archived task does not change";
    /// The schedule cannot be followed.
    InvalidSchedule = "0037", -32005, 400, "the schedule cannot be followed";
    /// The task has no schedule.
    NoSchedule = "0038", -32602, 400, "the task has no schedule";
    /// Runs of one task cannot overlap.
    OverlapUnavailable = "0039", -32005, 400, "runs of one task cannot overlap";
    /// There are as many event streams as the server keeps.
    TooManyStreams = "0040", -32603, 429, "there are as many event streams as the server keeps";
    /// This process sends no callbacks.
    NoCallbacks = "0041", -32602, 400, "this process sends no callbacks";
    /// The credential does not allow this.
    Forbidden = "0042", -32004, 403, "the credential does not allow this";
    /// The webhook proves nothing.
    WebhookRefused = "0043", -32004, 401, "the webhook proves nothing";
    /// The caller sends more than its share.
    RateLimited = "0045", -32603, 429, "the caller sends more than its share";
    /// The setting may not be read or changed here.
    SettingRefused = "0047", -32602, 403, "the setting may not be read or changed here";
    /// Nothing here makes up tasks.
    NoGenerator = "0048", -32602, 400, "nothing here makes up tasks";
    /// There is no key for the language model.
    NoLlmKey = "0049", -32602, 400, "there is no key for the language model";
    /// The server that was named does not answer, or not like apflow.
    ServerUnreachable = "0050", -32603, 503, "the server does not answer";
    /// The beginning of an id fits several tasks.
    AmbiguousId = "0051", -32602, 400, "the beginning of an id fits several tasks";
    /// What is stored here cannot do that.
    NotOffered = "0052", -32603, 501, "this store does not offer what is asked for";
    /// The task has no dead letter.
    NoDeadLetter = "0053", -32001, 404, "the task has no dead letter";
    /// There is no such question or other wait.
    NoSuchWait = "0057", -32001, 404, "there is no such question";
    /// The question is answered, or nobody wants to know any more.
    WaitClosed = "0058", -32006, 409, "the question takes no answer any more";
    /// The answer does not fit the question.
    UnfitAnswer = "0059", -32602, 422, "the answer does not fit the question";
    /// A condition, key or mapping is no expression that is evaluated here.
    InvalidExpression = "0068", -32005, 400, "an expression cannot be used";
    /// A group or a branch says something it cannot say.
    InvalidGroup = "0069", -32005, 400, "a group or a branch says something it cannot say";
    /// A limit, a rate or a breaker cannot be followed.
    InvalidFlow = "0072", -32005, 400, "a limit, a rate or a breaker cannot be followed";
    /// There is no such limit.
    NoLimit = "0073", -32602, 404, "there is no such limit";
    /// Nothing is known of the breaker.
    NoBreaker = "0074", -32602, 404, "nothing is known of the breaker";
    /// The value in the channel is not what the operation works with.
    ChannelType = "0075", -32602, 409, "the value in the channel is of another kind";
    /// The value in the channel is not the one that was expected.
    ChannelChanged = "0076", -32602, 409, "the value in the channel has changed";
    /// A lock is held by somebody else, or was lost.
    ChannelLock = "0077", -32602, 409, "the lock is held by somebody else, or was lost";
    /// The channel holds as much as it may.
    ChannelFull = "0078", -32602, 413, "the channel holds as much as it may";
    /// The run that the channel belongs to is not there any more.
    ChannelGone = "0079", -32602, 410, "the run of the channel is gone";
    /// There is no snapshot of that name.
    NoSnapshot = "0080", -32001, 404, "there is no snapshot of that name";
    /// A document cannot be imported.
    UnreadableExport = "0081", -32602, 400, "the document cannot be imported";
    /// A snapshot is not of what is stored here.
    SnapshotMismatch = "0082", -32006, 409, "the snapshot does not fit what is stored here";
    /// A snapshot is larger than may be kept.
    SnapshotTooLarge = "0083", -32602, 413, "the snapshot is larger than may be kept";
    /// There is no such budget.
    NoBudget = "0085", -32602, 404, "there is no such budget";
    /// The task does not wait for a decision about its budget.
    NotAsking = "0086", -32006, 409, "the task does not wait for a decision about its budget";
    /// A workflow inside another, a map or a saga says something it cannot say.
    InvalidPattern = "0093", -32005, 400, "a workflow, map or saga task cannot be carried out";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_to_do_and_carries_the_code_and_title() {
        for code in Code::ALL {
            let page = code.page();
            assert!(page.starts_with(&format!("# {code}: {}", code.title())), "{code}");
            assert!(page.contains("## What to do"), "{code}");
            assert!(
                page.contains(&format!("{}, HTTP status {}", code.rpc(), code.http())),
                "{code}"
            );
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }
}
