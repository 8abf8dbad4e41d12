//! The state of a SIGINT on its way, as plain data: named bits and a generation in one word, and what each event makes of them.
//!
//! Nothing here reads a clock, a thread or a signal, so every function may run in a signal handler. `flags` keeps the one
//! word of the process and applies these functions by compare-exchange.

/// The bits of the word, above which the generation stands.
const FLAGS: u32 = 8;

/// The state of the interrupts of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bits(pub u64);

/// Who sent the signal that a handler was called for, as far as the handler knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// Us, by the mark that our signals carry: [`Bits::SENT`] says whether it still counts.
    Marked,
    /// This process, by `si_pid`, without a mark: user code that signals its own process.
    Us,
    /// Another process, by `si_pid`.
    Other,
    /// The handler stands without `SA_SIGINFO`, so that nobody says who sent it.
    Unknown,
}

/// What the handler does with the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing: it only ended a system call.
    Ignore,
    /// It is an interrupt that this process sent: the runtime is told.
    Accept,
    /// It came from outside: the runtime is told unless the message that belongs to it came first.
    Dedup,
}

impl Bits {
    /// SIGINT was sent to the main thread by us, and the handler has not seen it.
    pub const SENT: Bits = Bits(1);
    /// The signal on its way only ends a system call; the runtime is not told of it.
    pub const RESEND: Bits = Bits(1 << 1);
    /// The runtime was told of an interrupt in this generation.
    pub const DELIVERED: Bits = Bits(1 << 2);
    /// The next resend counts as the interrupt once more. Stands only beside `DELIVERED`.
    pub const REDELIVER: Bits = Bits(1 << 3);
    /// One came as a signal, or is to be redelivered, and the control thread has not seen that.
    pub const FROM_OUTSIDE: Bits = Bits(1 << 4);

    /// Whether all of these bits are set.
    pub fn has(self, flag: Bits) -> bool {
        self.0 & flag.0 == flag.0
    }

    /// How often what was on its way has been dropped. What was meant for one generation is not taken for the next one's.
    pub fn generation(self) -> u64 {
        self.0 >> FLAGS
    }

    fn with(self, flag: Bits) -> Bits {
        Bits(self.0 | flag.0)
    }

    fn without(self, flag: Bits) -> Bits {
        Bits(self.0 & !flag.0)
    }

    /// The handler was called in the session's own process. A signal from another process leaves `SENT` and `RESEND` as they
    /// are: the signal that they stand for is still on its way behind it.
    pub fn on_signal(self, sender: Sender) -> (Bits, Action) {
        if sender == Sender::Other {
            return (self, Action::Dedup);
        }
        // Two signals of the same number that are pending for one thread become one, so both bits are over.
        let next = self.without(Bits::SENT).without(Bits::RESEND);
        let action = match sender {
            _ if self.has(Bits::SENT) => Action::Accept,
            // A resend; or what was sent was meant for something that is over, or the resend behind it came first.
            Sender::Marked => Action::Ignore,
            _ if self.has(Bits::RESEND) => Action::Ignore,
            // User code signals its own process: an interrupt that no message belongs to.
            Sender::Us => Action::Accept,
            Sender::Other | Sender::Unknown => Action::Dedup,
        };
        (next, action)
    }

    /// A thread other than the main one was given the signal and passes it on. False when what was running in `generation`,
    /// in which the handler was called, is over: the signal was for that and goes no further.
    pub fn on_forward(self, generation: u64) -> (Bits, bool) {
        // Marked as sent: otherwise the main thread would take it for a resend that follows, and drop it.
        if self.generation() == generation { (self.with(Bits::SENT), true) } else { (self, false) }
    }

    /// The runtime is told.
    pub fn on_deliver(self) -> Bits {
        self.with(Bits::DELIVERED)
    }

    /// The control thread has something to learn: that an interrupt came as a signal.
    pub fn on_outside(self) -> Bits {
        self.with(Bits::FROM_OUTSIDE)
    }

    /// SIGINT is about to be sent to the main thread.
    pub fn on_send(self) -> Bits {
        self.with(Bits::SENT)
    }

    /// SIGINT is about to be sent once more, to end a system call; or as the interrupt, if that is to be redelivered.
    pub fn on_resend(self) -> Bits {
        if self.has(Bits::REDELIVER) { self.without(Bits::REDELIVER).with(Bits::SENT) } else { self.with(Bits::RESEND) }
    }

    /// The runtime could do nothing with the interrupt that it was told of. False when there was none.
    pub fn on_redeliver(self) -> (Bits, bool) {
        // The control thread learns of it as of a signal from outside: it resends.
        if self.has(Bits::DELIVERED) { (self.with(Bits::REDELIVER).on_outside(), true) } else { (self, false) }
    }

    /// A cell, a request or an event handler starts or is over: what is on its way is not for what comes next.
    pub fn on_drop_pending(self) -> Bits {
        let kept = self.0 & Bits::FROM_OUTSIDE.0;
        Bits(self.generation().wrapping_add(1) << FLAGS | kept)
    }

    /// The control thread asks whether one came from outside since it last did.
    pub fn take_outside(self) -> (Bits, bool) {
        (self.without(Bits::FROM_OUTSIDE), self.has(Bits::FROM_OUTSIDE))
    }

    /// The signal that was sent will not be seen by the handler: whoever finds that out takes its place.
    pub fn take_sent(self) -> (Bits, bool) {
        (self.without(Bits::SENT), self.has(Bits::SENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The letters of the table, in the order of the bits: S `SENT`, R `RESEND`, D `DELIVERED`, A (again) `REDELIVER`,
    /// O `FROM_OUTSIDE`.
    const LETTERS: &str = "SRDAO";

    /// What becomes of each reachable state. Behind `:` the result: i ignore, a accept, d dedup; y yes, n no.
    const TABLE: &str = "
        state marked us    other   unknown forward deliver outside send  resend redeliver t_outside t_sent
        -     -:i    -:a   -:d     -:d     S:y     D       O       S     R      -:n       -:n       -:n
        S     -:a    -:a   S:d     -:a     S:y     SD      SO      S     SR     S:n       S:n       -:y
        R     -:i    -:i   R:d     -:i     SR:y    RD      RO      SR    R      R:n       R:n       R:n
        SR    -:a    -:a   SR:d    -:a     SR:y    SRD     SRO     SR    SR     SR:n      SR:n      R:y
        D     D:i    D:a   D:d     D:d     SD:y    D       DO      SD    RD     DAO:y     D:n       D:n
        SD    D:a    D:a   SD:d    D:a     SD:y    SD      SDO     SD    SRD    SDAO:y    SD:n      D:y
        RD    D:i    D:i   RD:d    D:i     SRD:y   RD      RDO     SRD   RD     RDAO:y    RD:n      RD:n
        SRD   D:a    D:a   SRD:d   D:a     SRD:y   SRD     SRDO    SRD   SRD    SRDAO:y   SRD:n     RD:y
        DA    DA:i   DA:a  DA:d    DA:d    SDA:y   DA      DAO     SDA   SD     DAO:y     DA:n      DA:n
        SDA   DA:a   DA:a  SDA:d   DA:a    SDA:y   SDA     SDAO    SDA   SD     SDAO:y    SDA:n     DA:y
        RDA   DA:i   DA:i  RDA:d   DA:i    SRDA:y  RDA     RDAO    SRDA  SRD    RDAO:y    RDA:n     RDA:n
        SRDA  DA:a   DA:a  SRDA:d  DA:a    SRDA:y  SRDA    SRDAO   SRDA  SRD    SRDAO:y   SRDA:n    RDA:y
        O     O:i    O:a   O:d     O:d     SO:y    DO      O       SO    RO     O:n       -:y       O:n
        SO    O:a    O:a   SO:d    O:a     SO:y    SDO     SO      SO    SRO    SO:n      S:y       O:y
        RO    O:i    O:i   RO:d    O:i     SRO:y   RDO     RO      SRO   RO     RO:n      R:y       RO:n
        SRO   O:a    O:a   SRO:d   O:a     SRO:y   SRDO    SRO     SRO   SRO    SRO:n     SR:y      RO:y
        DO    DO:i   DO:a  DO:d    DO:d    SDO:y   DO      DO      SDO   RDO    DAO:y     D:y       DO:n
        SDO   DO:a   DO:a  SDO:d   DO:a    SDO:y   SDO     SDO     SDO   SRDO   SDAO:y    SD:y      DO:y
        RDO   DO:i   DO:i  RDO:d   DO:i    SRDO:y  RDO     RDO     SRDO  RDO    RDAO:y    RD:y      RDO:n
        SRDO  DO:a   DO:a  SRDO:d  DO:a    SRDO:y  SRDO    SRDO    SRDO  SRDO   SRDAO:y   SRD:y     RDO:y
        DAO   DAO:i  DAO:a DAO:d   DAO:d   SDAO:y  DAO     DAO     SDAO  SDO    DAO:y     DA:y      DAO:n
        SDAO  DAO:a  DAO:a SDAO:d  DAO:a   SDAO:y  SDAO    SDAO    SDAO  SDO    SDAO:y    SDA:y     DAO:y
        RDAO  DAO:i  DAO:i RDAO:d  DAO:i   SRDAO:y RDAO    RDAO    SRDAO SRDO   RDAO:y    RDA:y     RDAO:n
        SRDAO DAO:a  DAO:a SRDAO:d DAO:a   SRDAO:y SRDAO   SRDAO   SRDAO SRDO   SRDAO:y   SRDA:y    RDAO:y
    ";

    fn name(bits: Bits) -> String {
        let set = LETTERS.chars().enumerate().filter(|(place, _)| bits.0 >> place & 1 == 1);
        let letters: String = set.map(|(_, letter)| letter).collect();
        if letters.is_empty() { "-".to_owned() } else { letters }
    }

    fn parse(name: &str) -> Bits {
        let bit = |letter| LETTERS.find(letter).map_or(0, |place| 1 << place);
        Bits(name.chars().map(bit).sum())
    }

    /// A column of the table: what the event makes of a state, and what it tells.
    type Event = (&'static str, fn(Bits) -> (Bits, &'static str));

    const EVENTS: [Event; 12] = [
        ("marked", |bits| action(bits.on_signal(Sender::Marked))),
        ("us", |bits| action(bits.on_signal(Sender::Us))),
        ("other", |bits| action(bits.on_signal(Sender::Other))),
        ("unknown", |bits| action(bits.on_signal(Sender::Unknown))),
        ("forward", |bits| answer(bits.on_forward(bits.generation()))),
        ("deliver", |bits| (bits.on_deliver(), "")),
        ("outside", |bits| (bits.on_outside(), "")),
        ("send", |bits| (bits.on_send(), "")),
        ("resend", |bits| (bits.on_resend(), "")),
        ("redeliver", |bits| answer(bits.on_redeliver())),
        ("t_outside", |bits| answer(bits.take_outside())),
        ("t_sent", |bits| answer(bits.take_sent())),
    ];

    fn action((bits, action): (Bits, Action)) -> (Bits, &'static str) {
        let told = match action {
            Action::Ignore => ":i",
            Action::Accept => ":a",
            Action::Dedup => ":d",
        };
        (bits, told)
    }

    fn answer((bits, is_so): (Bits, bool)) -> (Bits, &'static str) {
        (bits, if is_so { ":y" } else { ":n" })
    }

    /// All states that come of the empty one, without their generations.
    fn reachable() -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut new = vec![Bits::default()];
        while let Some(bits) = new.pop() {
            let flags = bits.0 & ((1 << FLAGS) - 1);
            if found.insert(flags) {
                new.extend(EVENTS.iter().map(|(_, event)| event(bits).0));
                new.push(bits.on_drop_pending());
            }
        }
        found
    }

    #[test]
    fn every_reachable_state_becomes_what_the_table_says() {
        let mut rows = TABLE.lines().filter(|line| !line.trim().is_empty()).map(str::split_whitespace);
        let head: Vec<_> = rows.next().unwrap().skip(1).collect();
        assert_eq!(head, EVENTS.map(|(name, _)| name));
        let mut listed = BTreeSet::new();
        for mut row in rows {
            let before = parse(row.next().unwrap());
            listed.insert(before.0);
            // In a later generation as in the first.
            let bits = Bits(5 << FLAGS | before.0);
            for ((event, apply), wanted) in EVENTS.iter().zip(row) {
                let (after, told) = apply(bits);
                assert_eq!(format!("{}{told}", name(after)), wanted, "{} {event}", name(before));
                assert_eq!(after.generation(), 5, "{} {event}", name(before));
            }
        }
        assert_eq!(listed, reachable());
    }

    #[test]
    fn what_is_dropped_is_of_another_generation() {
        for bits in reachable().into_iter().map(Bits) {
            let after = bits.on_drop_pending();
            let kept = if bits.has(Bits::FROM_OUTSIDE) { "O" } else { "-" };
            assert_eq!((name(after).as_str(), after.generation()), (kept, 1));
            // The handler was called before, in another thread, and passes the signal on only now.
            assert_eq!(after.on_forward(bits.generation()), (after, false));
            assert_eq!(after.on_forward(after.generation()), (after.with(Bits::SENT), true));
        }
        let last = Bits(u64::MAX << FLAGS);
        assert_eq!(last.on_drop_pending(), Bits(0));
    }
    #[test]
    fn what_is_sent_once_is_accepted_once() {
        let accepted = |mut bits: Bits, signals: &[Sender]| {
            let take = |sender: &Sender| {
                let (after, action) = bits.on_signal(*sender);
                bits = after;
                usize::from(action == Action::Accept)
            };
            signals.iter().map(take).sum::<usize>()
        };
        let sent = Bits::default().on_send();
        // The handler sees the signal only when the resend is decided on: the two become one, or come one after the other.
        assert_eq!(accepted(sent.on_resend(), &[Sender::Marked]), 1);
        assert_eq!(accepted(sent.on_resend(), &[Sender::Marked, Sender::Marked]), 1);
        // The cell is over between the decision and the signal.
        assert_eq!(accepted(sent.on_drop_pending(), &[Sender::Marked]), 0);
        // User code signals its own process: ours that was pending behind is the same interrupt.
        assert_eq!(accepted(sent, &[Sender::Us, Sender::Marked]), 1);
        // One from another process is its own affair.
        assert_eq!(accepted(sent, &[Sender::Other, Sender::Marked]), 1);
        // Where nobody says who sent it.
        assert_eq!(accepted(sent, &[Sender::Unknown]), 1);
        assert_eq!(accepted(Bits::default().on_resend(), &[Sender::Unknown]), 0);
    }
}
