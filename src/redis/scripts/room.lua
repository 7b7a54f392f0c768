-- What the scripts share. ARGV: 1 the run id of this Redis, 2 the salt for a new epoch, 3 the highest
-- epoch that the asking node knows, 4 the channel.
--
-- A log is a hash, a stream and a channel: of a room, or of the changes of the registry. Of the hash:
-- h the newest number, t when it was given, i the run id, c the current epoch as "number-salt", e the
-- newest epochs as "number-salt-first", where first is their first entry.
local room = {meta = KEYS[1], stream = KEYS[2], channel = ARGV[4]}

-- Numbers as digits: Lua writes large ones with an exponent.
local function digits(number)
    return string.format('%.0f', number)
end

-- The id of an entry in its stream: its number, and that of its epoch. A Redis that has loaded the half
-- of a transaction gives back an entry that was lost; the one that has its number since comes after it.
local function id(seq, current)
    return digits(seq) .. '-' .. string.match(current, '^%d+')
end

local function read(of)
    local got = redis.call('HMGET', of.meta, 'h', 't', 'i', 'c')
    return tonumber(got[1]) or 0, tonumber(got[2]) or 0, got[3], got[4]
end

-- The last number that the stream has, also where the hash was lost or is older.
local function last_of_stream(of)
    local info = redis.pcall('XINFO', 'STREAM', of.stream)
    if info.err then
        return 0
    end
    for at = 1, #info, 2 do
        if info[at] == 'last-generated-id' then
            return tonumber(string.match(info[at + 1], '^%d+'))
        end
    end
    return 0
end

-- The oldest entry that is kept; one more than the newest if there is none.
local function oldest(of, head)
    local first = redis.call('XRANGE', of.stream, '-', '+', 'COUNT', 1)[1]
    return first and tonumber(string.match(first[1], '^%d+')) or head + 1
end

-- Whether an entry is the one of a key. What the stream has dropped is believed.
local function is_there(of, seq, head, key)
    if seq > head then
        return false
    end
    local found = redis.call('XREVRANGE', of.stream, digits(seq), digits(seq), 'COUNT', 1)[1]
    if not found then
        return seq < oldest(of, head)
    end
    local fields = found[2]
    for at = 1, #fields, 2 do
        if fields[at] == 'k' then
            return fields[at + 1] == key
        end
    end
    return false
end

local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The time of a new entry, in milliseconds: never before that of the last.
local function time_after(at)
    return math.max(at, now())
end

-- Whether a call came too late, or one before it on its link, of which the key says so.
local function is_late(key, deadline)
    if now() <= tonumber(deadline) and redis.call('EXISTS', key) == 0 then
        return false
    end
    redis.call('HSET', key, 'late', 1)
    redis.call('PEXPIRE', key, 3600000)
    return true
end

-- A new epoch: this Redis may have lost what was numbered above its head. The number is above all
-- that are known, and that of the second, so that a log that lost its hash gets no old one; the
-- salt tells two of one number. What was numbered above the head is in no epoch any more.
local function begin(of, head, at)
    head = math.max(head, last_of_stream(of))
    local number = math.max(tonumber(redis.call('TIME')[1]), tonumber(ARGV[3]) + 1)
    local kept = {}
    local eras = redis.call('HGET', of.meta, 'e') or ''
    for epoch, salt, first in string.gmatch(eras, '(%d+)-(%x+)-(%d+)') do
        number = math.max(number, tonumber(epoch) + 1)
        first = math.min(tonumber(first), head + 1)
        kept[#kept + 1] = epoch .. '-' .. salt .. '-' .. digits(first)
    end
    local current = digits(number) .. '-' .. ARGV[2]
    kept[#kept + 1] = current .. '-' .. digits(head + 1)
    eras = table.concat(kept, ' ', math.max(1, #kept - 15))
    redis.call('HSET', of.meta, 'h', digits(head), 't', digits(at), 'i', ARGV[1], 'c', current, 'e', eras)
    redis.call('PUBLISH', of.channel, 'N' .. digits(head) .. ' ' .. digits(oldest(of, head)) .. ' ' .. eras)
    return head, current, eras
end

