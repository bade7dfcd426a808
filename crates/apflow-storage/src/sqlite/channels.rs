//! Channels in SQLite.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::Row as _;

use super::{decode, encode::json, reads::SqliteReads, rows::SqliteRows, sql};
use crate::channel::{
    CellRow, ChannelReads, ChannelRow, ChannelRows, Place, ReadCells, cell_row, channel_row,
    read_row, together,
};

#[async_trait]
impl ChannelRows for SqliteRows<'_> {
    async fn hold_channels(
        &mut self,
        forests: &[i64],
    ) -> Result<(Vec<ChannelRow>, Timestamp), StoreError> {
        let list = json(forests)?;
        let statement = sqlx::query(sql::MAKE_CHANNELS).bind(list.clone());
        self.execute("making channels", statement).await?;
        let statement = sqlx::query(sql::LOAD_CHANNELS).bind(list);
        let rows = self.fetch("reading channels", statement).await?;
        Ok((decode::all(&rows, |row| channel_row!(row))?, self.now))
    }

    async fn cells(&mut self, places: &[Place]) -> Result<Vec<CellRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_CELLS).bind(json(places)?);
        let rows = self.fetch("reading what lies in channels", statement).await?;
        decode::all(&rows, |row| cell_row!(row))
    }

    async fn delete_expired_cells(
        &mut self,
        forest: i64,
        now: Timestamp,
    ) -> Result<Vec<CellRow>, StoreError> {
        let statement = sqlx::query(sql::DELETE_EXPIRED_CELLS).bind(forest).bind(now.0);
        let rows = self.fetch("making room in a channel", statement).await?;
        decode::all(&rows, |row| cell_row!(row))
    }

    async fn save_channels(
        &mut self,
        channels: &[ChannelRow],
        put: &[CellRow],
        gone: &[Place],
    ) -> Result<(), StoreError> {
        let what = "storing what lies in channels";
        let channels: Vec<_> = channels
            .iter()
            .map(|row| (row.forest, row.revision, row.keys, row.bytes, row.at))
            .collect();
        self.execute(what, sqlx::query(sql::SAVE_CHANNELS).bind(json(&channels)?)).await?;
        if !put.is_empty() {
            let put: Vec<_> = put
                .iter()
                .map(|row| {
                    (row.forest, &row.space, &row.slot, &row.value, row.version, row.expires_at)
                })
                .collect();
            self.execute(what, sqlx::query(sql::SAVE_CELLS).bind(json(&put)?)).await?;
        }
        if !gone.is_empty() {
            self.execute(what, sqlx::query(sql::DELETE_CELLS).bind(json(gone)?)).await?;
        }
        Ok(())
    }

    async fn empty_channels(&mut self, forests: &[i64]) -> Result<(), StoreError> {
        let list = json(forests)?;
        for statement in [sql::EMPTY_CHANNELS, sql::DELETE_ALL_CELLS] {
            self.execute("emptying channels", sqlx::query(statement).bind(list.clone())).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ChannelReads for SqliteReads {
    async fn find_channel(&self, tree: &str) -> Result<Option<(i64, String, i64)>, StoreError> {
        let statement = sqlx::query(sql::FIND_CHANNEL).bind(tree.to_owned());
        let rows = self.fetch("looking for a channel", statement).await?;
        let found =
            decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
        Ok(found?.into_iter().next())
    }

    async fn read_cells(
        &self,
        forest: i64,
        space: &str,
        slots: &[&str],
        now: Option<Timestamp>,
    ) -> Result<Option<ReadCells>, StoreError> {
        let statement = sqlx::query(sql::READ_CELLS)
            .bind(forest)
            .bind(space.to_owned())
            .bind(json(slots)?)
            .bind(now.map_or(0, |now| now.0));
        let rows = self.fetch("reading what lies in a channel", statement).await?;
        Ok(together(decode::all(&rows, |row| read_row!(row))?, forest, space))
    }

    async fn list_cells(
        &self,
        forest: i64,
        space: &str,
        part: std::ops::Range<String>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Option<ReadCells>, StoreError> {
        let statement = sqlx::query(sql::LIST_CELLS)
            .bind(forest)
            .bind(space.to_owned())
            .bind(part.start)
            .bind(part.end)
            .bind(i64::from(limit))
            .bind(now.map_or(0, |now| now.0));
        let rows = self.fetch("listing what lies in a channel", statement).await?;
        Ok(together(decode::all(&rows, |row| read_row!(row))?, forest, space))
    }
}
