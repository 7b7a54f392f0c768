-- Changes of the registry. ARGV from `first` on, and where there is no change the first four alone:
-- 0 the node that makes it, 1 the epoch of the log of changes that it knows ('': none), 2 the newest
-- number that it has taken, 3 what the change depends on, 4 what it touches (letters: A accounts, S
-- whom something keeps from what, R settings of rooms, B bans and mutes, P passwords, L sessions that
-- begin), 5 the change, 6 its key, 7
-- the largest id of an account that it puts ('': none), 8 how many facts it forgets, 9 how many logs
-- end with them; the keys of those facts, the names of those logs, and then keys and facts that it
-- puts.
--
-- Of the hash of the log besides: the letters, each "number node before": the last change that
-- touched it, of which node it is, and the last of another node before. Of the hash of facts: '' the
-- largest id that an account ever had.

-- The last change that a node may not have known of. A node proposes changes of settings and of
-- bans by what it has taken, so its own count as well.
local function last_unknown(of, letter, node)
    local known = redis.call('HGET', of.meta, letter)
    if not known then
        return 0
    end
    local last, by, before = string.match(known, '^(%d+) (%x+) (%d+)$')
    local is_own = by == node and letter ~= 'R' and letter ~= 'B'
    return tonumber(is_own and before or last)
end

-- Whether what it depends on has changed since. Then the answer is an error: STALE, the
-- epoch of the log of changes, and its newest number.
local function is_stale(of, current, first)
    local letters = ARGV[first + 3]
    if letters ~= '' and ARGV[first + 1] ~= current then
        return true
    end
    for letter in string.gmatch(letters, '.') do
        if last_unknown(of, letter, ARGV[first]) > tonumber(ARGV[first + 2]) then
            return true
        end
    end
    return false
end

local function touch(of, letter, node, number)
    local known, before = redis.call('HGET', of.meta, letter), '0'
    if known then
        local last, by, earlier = string.match(known, '^(%d+) (%x+) (%d+)$')
        before = by == node and earlier or last
    end
    redis.call('HSET', of.meta, letter, number .. ' ' .. node .. ' ' .. before)
end

-- Numbers a change, keeps it, makes it and publishes it.
local function make(of, facts, first, head, at, current, entries_max)
    local number, node = digits(head + 1), ARGV[first]
    at = time_after(at)
    local text = digits(at) .. ' ' .. node .. ' ' .. ARGV[first + 5]
    redis.call('XADD', of.stream, 'MAXLEN', '~', entries_max, id(head + 1, current), 'd', text, 'k', ARGV[first + 6])
    redis.call('HSET', of.meta, 'h', number, 't', digits(at))
    for letter in string.gmatch(ARGV[first + 4], '.') do
        touch(of, letter, node, number)
    end
    if ARGV[first + 7] ~= '' then
        local most = tonumber(redis.call('HGET', facts, '') or '0')
        if tonumber(ARGV[first + 7]) > most then
            redis.call('HSET', facts, '', ARGV[first + 7])
        end
    end
    local place = first + 10
    for _ = 1, tonumber(ARGV[first + 8]) do
        redis.call('HDEL', facts, ARGV[place])
        place = place + 1
    end
    for _ = 1, tonumber(ARGV[first + 9]) do
        local log = 'p:{' .. ARGV[place] .. '}:'
        redis.call('DEL', log .. 'm', log .. 's', log .. 'x')
        place = place + 1
    end
    while place < #ARGV do
        redis.call('HSET', facts, ARGV[place], ARGV[place + 1])
        place = place + 2
    end
    redis.call('PUBLISH', of.channel, 'E' .. current .. ' ' .. number .. ' ' .. text)
    return number, digits(at)
end

