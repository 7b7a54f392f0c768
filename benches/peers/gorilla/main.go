// A chat over gorilla/websocket as in its documentation and example: a hub, and for each client a
// goroutine that reads, one that writes and a bounded channel between them. A client whose channel
// is full is disconnected. The path names the room. Usage: gorilla PORT [PING_SECONDS]
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

const (
	writeWait = 10 * time.Second
	// As in the example, whose 512 bytes are less than the measured messages.
	maxMessageSize = 16 * 1024
)

// As in the example, pings are sent at 90 % of the pong deadline.
var pongWait = 60 * time.Second
var pingPeriod = 54 * time.Second

var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
}

type hub struct {
	clients    map[*client]bool
	broadcast  chan []byte
	register   chan *client
	unregister chan *client
}

func newHub() *hub {
	return &hub{
		clients:    make(map[*client]bool),
		broadcast:  make(chan []byte),
		register:   make(chan *client),
		unregister: make(chan *client),
	}
}

func (h *hub) run() {
	for {
		select {
		case client := <-h.register:
			h.clients[client] = true
		case client := <-h.unregister:
			if _, ok := h.clients[client]; ok {
				delete(h.clients, client)
				close(client.send)
			}
		case message := <-h.broadcast:
			for client := range h.clients {
				select {
				case client.send <- message:
				default:
					close(client.send)
					delete(h.clients, client)
				}
			}
		}
	}
}

type client struct {
	hub  *hub
	conn *websocket.Conn
	send chan []byte
}

func (c *client) readPump() {
	defer func() {
		c.hub.unregister <- c
		c.conn.Close()
	}()
	c.conn.SetReadLimit(maxMessageSize)
	c.conn.SetReadDeadline(time.Now().Add(pongWait))
	c.conn.SetPongHandler(func(string) error {
		return c.conn.SetReadDeadline(time.Now().Add(pongWait))
	})
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		c.hub.broadcast <- message
	}
}

// The example joins queued messages into one, separated by newlines. Here each is sent as one
// message, as by every other server.
func (c *client) writePump() {
	ticker := time.NewTicker(pingPeriod)
	defer func() {
		ticker.Stop()
		c.conn.Close()
	}()
	for {
		select {
		case message, ok := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !ok {
				c.conn.WriteMessage(websocket.CloseMessage, []byte{})
				return
			}
			if err := c.conn.WriteMessage(websocket.TextMessage, message); err != nil {
				return
			}
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if err := c.conn.WriteMessage(websocket.PingMessage, nil); err != nil {
				return
			}
		}
	}
}

// Rooms by path; each has its own hub.
type rooms struct {
	lookup chan roomRequest
}

type roomRequest struct {
	path  string
	reply chan *hub
}

func (r *rooms) run() {
	hubs := make(map[string]*hub)
	for request := range r.lookup {
		h, ok := hubs[request.path]
		if !ok {
			h = newHub()
			hubs[request.path] = h
			go h.run()
		}
		request.reply <- h
	}
}

func (r *rooms) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	conn, err := upgrader.Upgrade(w, request, nil)
	if err != nil {
		return
	}
	reply := make(chan *hub, 1)
	r.lookup <- roomRequest{request.URL.Path, reply}
	h := <-reply
	c := &client{hub: h, conn: conn, send: make(chan []byte, 256)}
	h.register <- c
	go c.writePump()
	go c.readPump()
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: gorilla PORT [PING_SECONDS]")
	}
	if len(os.Args) > 2 {
		seconds, err := strconv.Atoi(os.Args[2])
		if err != nil || seconds < 1 {
			log.Fatal("the ping interval is not a number of seconds")
		}
		pingPeriod = time.Duration(seconds) * time.Second
		pongWait = 10 * pingPeriod
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	r := &rooms{lookup: make(chan roomRequest)}
	go r.run()
	log.Fatal(http.Serve(listener, r))
}
