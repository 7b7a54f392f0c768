-- What is kept of a room, which exists from then on. Begins a new epoch if this Redis is another
-- than the room's, or if the asking node has seen more of the current epoch than there is.
-- ARGV: 5 the epoch that the node knows ('': none), 6 the newest number that it has seen.
local head, at, run, current = read(room)
local eras
if run ~= ARGV[1] or (current == ARGV[5] and head < tonumber(ARGV[6])) then
    head, current, eras = begin(room, head, at)
else
    eras = redis.call('HGET', KEYS[1], 'e')
end
return {digits(head), digits(at), digits(oldest(room, head)), eras}
