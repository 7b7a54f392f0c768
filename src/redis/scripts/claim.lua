-- Gives nicks back and claims others. ARGV: 2 the channel of changes, 3 how many keys are given back,
-- and those; then of each nick that is claimed the session of its client ('': none), the earlier
-- connection of it if the client goes on with that session ('': it does not), how many keys the nick
-- has, and those. A nick is granted if no other live node holds one of its keys, but for the same
-- session that goes on. Which user of a node has it is the node's to know.
-- Answers of each nick whether it is granted.
--
-- Sessions that go on are published, `S<session> <connection>`: the node of the earlier connection
-- ends it.
local at = 4
for _ = 1, tonumber(ARGV[3]) do
    if holder(redis.call('HGET', KEYS[1], ARGV[at])) == node then
        redis.call('HDEL', KEYS[1], ARGV[at])
    end
    at = at + 1
end
local answer = {}
while at <= #ARGV do
    local session, earlier, first = ARGV[at], ARGV[at + 1], at + 3
    local last = at + 2 + tonumber(ARGV[at + 2])
    local is_free = true
    for key = first, last do
        local other, of = holder(redis.call('HGET', KEYS[1], ARGV[key]))
        local is_same = earlier ~= '' and of == session
        if other and other ~= node and not is_same and is_live(other) then
            is_free = false
        end
    end
    if is_free then
        for key = first, last do
            redis.call('HSET', KEYS[1], ARGV[key], node .. session)
        end
    end
    if earlier ~= '' then
        redis.call('PUBLISH', ARGV[2], 'S' .. session .. ' ' .. earlier)
    end
    answer[#answer + 1] = is_free and '1' or '0'
    at = last + 1
end
return answer
