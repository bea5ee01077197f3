//! What came of the steps, in the definition's order, with those that the way did not lead to.

use trunnion_core::definition::{Step, StepKind};

use super::{Kind, Standing, Tried, Trying, walk::Tries};

impl Trying<'_> {
    /// Every step of a block. The steps of a branch stand behind it, those of a loop with its items.
    pub(super) fn listing(&self, steps: &[Step], at: &str, tried: &mut Tries) -> Vec<Tried> {
        let mut all = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let at = format!("{at}/{index}");
            let mut one = tried.remove(&at).unwrap_or_else(|| self.untried(step, &at));
            let StepKind::Branch { otherwise, .. } = &step.kind else {
                all.push(one);
                continue;
            };
            if let Some(ways) = one.ways.as_mut().filter(|ways| ways.is_empty())
                && one.standing == Standing::Succeeded
                && !otherwise.is_empty()
            {
                ways.push(0);
            }
            all.push(one);
            for (below, steps) in step.blocks() {
                all.extend(self.listing(steps, &format!("{at}{below}"), tried));
            }
        }
        all
    }

    /// A step that nothing came of: the draft is wrong there, or the way did not lead there.
    fn untried(&self, step: &Step, at: &str) -> Tried {
        let blocks: Vec<_> = step.blocks().into_iter().map(|(below, _)| format!("{at}{below}/")).collect();
        let own = |place: &str| {
            let here = place.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            here && !blocks.iter().any(|block| place.starts_with(block.as_str()))
        };
        let problems = self.problems.iter().filter(|problem| own(&problem.at));
        let first = problems.map(|problem| problem.message.clone()).next();
        let mut one = Tried::new(step, at);
        if let Some(message) = first {
            one.standing = Standing::Invalid;
            one.note = Some(message);
        }
        one
    }
}

impl Tried {
    /// A step of which nothing is known yet.
    pub(super) fn new(step: &Step, at: &str) -> Self {
        Self {
            id: step.id.clone(),
            at: at.to_owned(),
            kind: Kind::of(&step.kind),
            standing: Standing::NotReached,
            beyond: false,
            input: None,
            output: None,
            error: None,
            problems: Vec::new(),
            note: None,
            ways: None,
            waits: None,
            items: None,
            log: Vec::new(),
            took: std::time::Duration::ZERO,
        }
    }
}

impl Kind {
    const fn of(kind: &StepKind) -> Self {
        match kind {
            StepKind::Action { .. } => Self::Action,
            StepKind::Stream { .. } => Self::Stream,
            StepKind::Filter { .. } => Self::Filter,
            StepKind::Branch { .. } => Self::Branch,
            StepKind::ForEach { .. } => Self::ForEach,
            StepKind::Batch { .. } => Self::Batch,
            StepKind::Set { .. } => Self::Set,
            StepKind::Delay { .. } => Self::Delay,
            StepKind::Call { .. } => Self::Call,
            StepKind::Respond { .. } => Self::Respond,
        }
    }
}
