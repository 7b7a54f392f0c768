//! Other settings for a chat with users: what counts from here on. Nothing that is there is taken
//! away, but for one thing: an operator whose token is gone is none any more.

use super::{Chat, Notices, Operator, Rate, Settings, names, ticks};

impl Chat {
    /// Takes over other settings.
    pub fn set(&mut self, mut settings: Settings) {
        self.set_operators(settings.all_operators());
        self.accounts_max = settings.accounts_max;
        self.most_rooms_per_user = self.most_rooms_per_user.max(self.rooms_per_user);
        self.rooms_per_user = settings.rooms_per_connection;
        self.room_policy = settings.rooms;
        self.listed_rooms = names(&settings.listed_rooms);
        self.message_rate = Rate::new(settings.message_rate, settings.message_burst);
        self.notices = Notices {
            members_max: settings.notice_members,
            interval: ticks(settings.notice_interval),
        };
        self.filter = settings.filter.take();
        self.filtering = settings.filtering;
        self.edit_window_millis = settings.edit_window_millis();
    }

    /// Users stay operators by the same name and token alone.
    fn set_operators(&mut self, operators: Vec<Operator>) {
        let place = |old: &Operator| {
            let place = operators.iter().position(|new| new == old);
            place.map_or(0, |place| place as u8 + 1)
        };
        let places: Vec<u8> = self.operators.iter().map(place).collect();
        let mut ended = Vec::new();
        for (user, slot) in self.users.iter_mut().zip(0..) {
            if let Some(user) = user
                && let Some(old) = usize::from(user.operator).checked_sub(1)
            {
                user.operator = places.get(old).copied().unwrap_or(0);
                ended.extend((user.operator == 0).then(|| user.id(slot)));
            }
        }
        self.operators = operators;
        for id in ended {
            self.is_other_person(id);
        }
    }
}
