-- What the scripts share. KEYS: 1 the room's hash, 2 its stream. ARGV: 1 the run id of this Redis,
-- 2 the salt for a new epoch, 3 the highest epoch that the asking node knows, 4 the channel.
--
-- Of the hash: h the newest number, t when it was given, i the run id, c the current epoch as
-- "number-salt", e the newest epochs as "number-salt-first", where first is their first entry.

-- Numbers as digits: Lua writes large ones with an exponent.
local function digits(number)
    return string.format('%.0f', number)
end

local function read()
    local got = redis.call('HMGET', KEYS[1], 'h', 't', 'i', 'c')
    return tonumber(got[1]) or 0, tonumber(got[2]) or 0, got[3], got[4]
end

-- The last number that the stream has, also where the hash was lost or is older.
local function last_of_stream()
    local info = redis.pcall('XINFO', 'STREAM', KEYS[2])
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
local function oldest(head)
    local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    return first and tonumber(string.match(first[1], '^%d+')) or head + 1
end

-- A new epoch: this Redis may have lost what was numbered above its head. The number is above all
-- that are known, and that of the second, so that a room that lost its hash gets no old one; the
-- salt tells two of one number. What was numbered above the head is in no epoch any more.
local function begin(head, at)
    head = math.max(head, last_of_stream())
    local number = math.max(tonumber(redis.call('TIME')[1]), tonumber(ARGV[3]) + 1)
    local kept = {}
    local eras = redis.call('HGET', KEYS[1], 'e') or ''
    for epoch, salt, first in string.gmatch(eras, '(%d+)-(%x+)-(%d+)') do
        number = math.max(number, tonumber(epoch) + 1)
        first = math.min(tonumber(first), head + 1)
        kept[#kept + 1] = epoch .. '-' .. salt .. '-' .. digits(first)
    end
    local current = digits(number) .. '-' .. ARGV[2]
    kept[#kept + 1] = current .. '-' .. digits(head + 1)
    eras = table.concat(kept, ' ', math.max(1, #kept - 15))
    redis.call('HSET', KEYS[1], 'h', digits(head), 't', digits(at), 'i', ARGV[1], 'c', current, 'e', eras)
    redis.call('PUBLISH', ARGV[4], 'N' .. digits(head) .. ' ' .. digits(oldest(head)) .. ' ' .. eras)
    return head, current, eras
end
