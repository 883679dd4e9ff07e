//! One execution of a workflow: the state that its log folds to, and what it needs next.
