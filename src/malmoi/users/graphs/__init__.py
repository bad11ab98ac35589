"""Models of graphs: classes of nodes by walks of many steps, and users and items as a graph."""
