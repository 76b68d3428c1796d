"""Boxes of COCO annotations cut out of their photos into class folders."""
